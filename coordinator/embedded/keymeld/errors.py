"""Errors that the gateway answers with, and the one an enclave refuses with.

CoreError
└── GatewayError            status, kind, message: the error envelope (keymeld section 2.1)
    ├── BadRequest 400  Unauthorized 401  NotFound 404  Conflict 409  EnclaveUnavailable 503
    └── PlainTextError      a refusal before the handler, answered as plain text
└── EnclaveRejected         reason
"""

from __future__ import annotations

from typing import ClassVar

from coordinator_core.errors import CoreError, Fault


class GatewayError(CoreError):
    """Answered as {"error": {"type", "message", "code"}, "timestamp"}."""

    code = "keymeld.gateway"
    status: ClassVar[int] = 500
    kind: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(GatewayError):
    """A broken rule, a wrong state, an exhausted quota."""

    code = "keymeld.bad_request"
    status = 400
    kind = "bad_request"


class Unauthorized(GatewayError):
    """A signature that does not verify, a header used twice or out of time."""

    code = "keymeld.unauthorized"
    status = 401
    kind = "unauthorized"


class NotFound(GatewayError):
    """Unknown or dropped."""

    code = "keymeld.not_found"
    status = 404
    kind = "not_found"


class Conflict(GatewayError):
    """The state moved on: claimed, expired, closed."""

    code = "keymeld.conflict"
    status = 409
    kind = "conflict"


class EnclaveUnavailable(GatewayError):
    """An enclave is unknown or does not answer."""

    code = "keymeld.enclave_unavailable"
    fault = Fault.SIGNER
    status = 503
    kind = "enclave_communication_error"


class RateLimited(GatewayError):
    """Too many requests; answered in a shape of its own, with Retry-After."""

    code = "keymeld.rate_limited"
    status = 429
    kind = "rate_limited"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(f"Too many requests, retry in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class PlainTextError(GatewayError):
    """A refusal before the handler: media type, size, JSON shape, a missing header."""

    code = "keymeld.plain_text"
    kind = "plain_text"

    def __init__(self, http_status: int, message: str) -> None:
        super().__init__(message)
        self.http_status = http_status


class EnclaveRejected(CoreError):
    """An enclave refused a command; nothing was signed."""

    code = "keymeld.enclave_rejected"
    fault = Fault.SIGNER

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
