"""Errors as RFC 9457 problem details: a stable code, the field and the fix."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotAuthorizedException

from coordinator.api.admission import TooManyRequests
from coordinator.api.door import Stopping
from coordinator.engine.health import NobodyDrives, Overloaded
from coordinator.engine.new_money import RETRY_SECONDS as NEW_MONEY_SECONDS
from coordinator.engine.new_money import NewMoneyPaused
from coordinator.engine.submit import Conflict, UnknownCompetition
from coordinator.ports.faults import PortError
from coordinator_core.competition.fees import FeeRateAboveCeiling, NetworkFeeTooHigh, NoFeeEstimate
from coordinator_core.errors import CoreError, InvalidInput, Misuse, VerificationFailed
from coordinator_core.nostr.nip98 import NotAuthorized

PROBLEM = "application/problem+json"
RETRY_SECONDS = 5
PAUSES: Final = (
    NewMoneyPaused,
    NobodyDrives,
    Overloaded,
    NoFeeEstimate,
    FeeRateAboveCeiling,
    NetworkFeeTooHigh,
    Stopping,
)
"""Nothing is wrong with the request: it will do later, when services and fees are as they should be again."""
_FIXES: Final = {
    401: ("authorization", "send the operator's token as Authorization: Bearer"),
    404: ("path", "see the API's schema for addresses, and take ids from lists"),
    405: ("method", "use one of those in the Allow header"),
    413: ("body", "send a shorter one"),
}
"""Field and fix of what the framework refuses by status alone."""

log = structlog.get_logger()


class NotThereYet(InvalidInput):
    """A thing that exists later in the life of a competition."""

    code = "not_there_yet"


def _problem(status: int, code: str, title: str, detail: str, **more: Any) -> Response[bytes]:
    body = {"type": f"urn:coordinator:{code}", "title": title, "status": status, "detail": detail, "code": code, **more}
    return Response(msgspec.json.encode(body), status_code=status, media_type=PROBLEM)


def _status_of(error: CoreError) -> int:
    if isinstance(error, UnknownCompetition | NotThereYet):
        return 404
    if isinstance(error, NotAuthorized):
        return 401
    if isinstance(error, PAUSES):
        return 503
    return 409 if isinstance(error, Conflict) else 400


def core_error(request: Request[Any, Any, Any], error: CoreError) -> Response[bytes]:
    """What the domain and the protocol library refuse."""
    if isinstance(error, Misuse):
        return unexpected(request, error)
    if isinstance(error, TooManyRequests):
        return _later(_problem(429, error.code, "try again", str(error), fault=error.fault.value), error.seconds)
    more: dict[str, Any] = {"fault": error.fault.value}
    if isinstance(error, InvalidInput):
        more |= {"field": error.field, "fix": error.fix or f"correct {error.field}"}
    elif isinstance(error, VerificationFailed):
        more |= {"field": error.what, "fix": f"send one whose {error.what} can be verified"}
    answer = _problem(_status_of(error), error.code, "refused", str(error), **more)
    if isinstance(error, NotAuthorized):
        answer.headers["WWW-Authenticate"] = "Nostr"
    if not isinstance(error, PAUSES):
        return answer
    return _later(answer, RETRY_SECONDS if isinstance(error, Overloaded) else NEW_MONEY_SECONDS)


def port_error(_: Request[Any, Any, Any], error: PortError) -> Response[bytes]:
    """A dependency that does not answer."""
    log.warning("dependency failed in a request", service=error.service, reason=error.reason)
    answer = _problem(503, error.code, "try again", f"{error.service} is not available", fault=error.fault.value)
    return _later(answer, RETRY_SECONDS)


def _later(answer: Response[bytes], seconds: int) -> Response[bytes]:
    answer.headers["Retry-After"] = str(seconds)
    return answer


def http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework refuses: unknown routes, values of another shape."""
    code = "unauthorized" if isinstance(error, NotAuthorizedException) else f"http.{error.status_code}"
    field, fix = _FIXES.get(error.status_code, ("request", "see the API's schema"))
    detail = error.detail or "refused"
    if isinstance(error.extra, list) and error.extra:
        first: Any = error.extra[0]
        field = str(first.get("key") or first.get("source") or "body")
        detail = f"{field}: {first.get('message')}"
    answer = _problem(error.status_code, code, "refused", detail, field=field, fix=fix)
    answer.headers.update(error.headers or {})
    return answer


def unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A defect of ours: logged whole, answered without details."""
    log.exception("request failed", path=request.scope["path"], error=type(error).__name__)
    return _problem(500, "internal", "defect", "an error of this server; it was recorded")
