"""JSON answers, the error envelope, and the mapping of errors to both (keymeld section 2.1)."""

from __future__ import annotations

import logging
import time
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException

from coordinator.embedded.keymeld.errors import BadRequest, GatewayError, PlainTextError, RateLimited, Unauthorized
from coordinator_core.errors import InvalidInput, VerificationFailed

_log = logging.getLogger(__name__)


def json_answer(content: Any, status: int = 200) -> Response[bytes]:
    """200 with compact JSON."""
    return Response(msgspec.json.encode(content), status_code=status, media_type="application/json")


def text_answer(text: str, status: int) -> Response[str]:
    """Plain text, as refusals before a handler are answered."""
    return Response(text, status_code=status, media_type="text/plain")


def envelope(error: GatewayError) -> Response[bytes]:
    """The error envelope; its timestamp is UNIX seconds."""
    body = {"type": error.kind, "message": error.message, "code": error.status}
    return json_answer({"error": body, "timestamp": int(time.time())}, error.status)


def on_gateway_error(_request: Request, error: GatewayError) -> Response:
    """Errors that already know their answer."""
    if isinstance(error, PlainTextError):
        return text_answer(error.message, error.http_status)
    return envelope(error)


def on_rate_limited(_request: Request, error: RateLimited) -> Response:
    """429, in the limiter's own shape."""
    answer = json_answer({"error_code": error.kind, "message": error.message}, error.status)
    answer.set_header("Retry-After", str(error.retry_after_seconds))
    return answer


def on_invalid_input(_request: Request, error: InvalidInput) -> Response:
    """A broken rule found by a check of its own: 400."""
    return envelope(BadRequest(f"Invalid request: {error}"))


def on_verification_failed(_request: Request, error: VerificationFailed) -> Response:
    """A signature that does not verify: 401."""
    return envelope(Unauthorized(str(error)))


def on_http_exception(_request: Request, error: HTTPException) -> Response:
    """The framework's refusals: unknown route, method, size."""
    return text_answer(error.detail, error.status_code)


def on_unexpected(request: Request, error: Exception) -> Response:
    """Anything else is a fault of this service: logged, answered without details."""
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return envelope(GatewayError("Internal server error"))


EXCEPTION_HANDLERS: dict[Any, Any] = {
    RateLimited: on_rate_limited,
    GatewayError: on_gateway_error,
    InvalidInput: on_invalid_input,
    VerificationFailed: on_verification_failed,
    HTTPException: on_http_exception,
    Exception: on_unexpected,
}
