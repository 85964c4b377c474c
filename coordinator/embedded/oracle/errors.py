"""What the server answers instead of a result: a status and the upstream's two error shapes."""

from __future__ import annotations

from enum import Enum


class OracleError(Exception):
    """Answered as `{"error": text}` with `status`."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Rejected(OracleError):
    """400: the request is understood and breaks a rule."""

    def __init__(self, text: str) -> None:
        super().__init__(400, text)


class NotFound(OracleError):
    """404."""

    def __init__(self, text: str) -> None:
        super().__init__(404, text)


NOT_ACCEPTING_WRITES = "oracle is not accepting writes right now; retry later"
OUTCOME_UNKNOWN = "write outcome unknown; check the event before retrying"
INTERNAL = "internal server error"


class AuthFailure(Enum):
    """Why a signed request is turned away: code, status, detail."""

    MISSING = ("missing", 401, "missing Authorization header")
    MALFORMED = ("malformed", 400, "Authorization is not a NIP-98 event")
    EXPIRED = ("expired", 401, "signed event is too old or in the future")
    MISMATCH = ("mismatch", 401, "signed URL or method does not match the request")
    BAD_SIGNATURE = ("bad_signature", 401, "invalid signature")
    NOT_ALLOWED = ("not_allowed", 403, "signer is not allowed to do this")
    BODY = ("body", 400, "request body could not be read")
    PAYLOAD_MISMATCH = ("payload_mismatch", 400, "signed payload hash does not match the body")
    REPLAYED = ("replayed", 401, "signed event was already used")
    BUSY = ("busy", 503, "too many recent requests; retry shortly")

    @property
    def code(self) -> str:
        """The `type` member of the answer."""
        return self.value[0]

    @property
    def status(self) -> int:
        """The HTTP status of the answer."""
        return self.value[1]

    @property
    def detail(self) -> str:
        """The `detail` member of the answer."""
        return self.value[2]


class AuthError(Exception):
    """Answered as `{"error": {"type": code, "detail": text}}`."""

    def __init__(self, failure: AuthFailure) -> None:
        super().__init__(failure.detail)
        self.failure = failure
