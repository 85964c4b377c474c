"""Errors as RFC 9457 problem details: a stable code, the field and the fix."""

from __future__ import annotations

from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, NotAuthorizedException

from coordinator.engine.submit import Conflict, UnknownCompetition
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError, InvalidInput, VerificationFailed
from coordinator_core.nostr.nip98 import NotAuthorized

PROBLEM = "application/problem+json"

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
    return 409 if isinstance(error, Conflict) else 400


def core_error(_: Request[Any, Any, Any], error: CoreError) -> Response[bytes]:
    """What the domain and the protocol library refuse."""
    more: dict[str, Any] = {"fault": error.fault.value}
    if isinstance(error, InvalidInput):
        more |= {"field": error.field, "fix": error.fix}
    elif isinstance(error, VerificationFailed):
        more |= {"field": error.what}
    return _problem(_status_of(error), error.code, "refused", str(error), **more)


def port_error(_: Request[Any, Any, Any], error: PortError) -> Response[bytes]:
    """A dependency that does not answer."""
    log.warning("dependency failed in a request", service=error.service, reason=error.reason)
    response = _problem(503, error.code, "try again", f"{error.service} is not available", fault=error.fault.value)
    response.headers["Retry-After"] = "5"
    return response


def http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework refuses: unknown routes, bodies of another shape."""
    code = "unauthorized" if isinstance(error, NotAuthorizedException) else f"http.{error.status_code}"
    detail = error.detail or "refused"
    more: dict[str, Any] = {"field": "request"}
    if isinstance(error.extra, list) and error.extra:
        first: Any = error.extra[0]
        more = {"field": str(first.get("key") or first.get("source") or "body"), "fix": str(first.get("message"))}
    return _problem(error.status_code, code, "refused", detail, **more)


def unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A defect of ours: logged whole, answered without details."""
    log.exception("request failed", path=request.url.path, error=type(error).__name__)
    return _problem(500, "internal", "defect", "an error of this server; it was recorded")
