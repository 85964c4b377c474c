"""Refusals of noaa-oracle as errors of the port."""

from __future__ import annotations

import msgspec

from coordinator.adapters.http import Reply, TransportError
from coordinator.adapters.oracle.wire import Failure, FailureDetail
from coordinator.ports.faults import PortError, Rejected, Unsuitable
from coordinator.ports.oracle import ClockSkew, EventConflict, NotAuthorized
from coordinator_core.errors import Fault

MAX_REASON = 500


def may_have_happened(reply: Reply) -> bool:
    """True when a write with this answer may have been stored: only reading the event tells."""
    return reply.status in (500, 502, 504)


def refusal(reply: Reply, rejected: type[Rejected]) -> PortError:
    """The error for an answer that is not 200. `rejected` is the kind for a broken rule."""
    code, reason = _reason(reply)
    if reply.status in (400, 409) and not code:
        return rejected(reply.service, reason, fault=Fault.COORDINATOR, remote_code=str(reply.status))
    if code == "expired":
        return ClockSkew(reply.service, reason, fault=Fault.COORDINATOR)
    if code in ("busy", "replayed") or reply.is_later or reply.status >= 500:
        return unknown_outcome(reply)
    if code or reply.status == 401:
        return NotAuthorized(reply.service, f"{code}: {reason}", fault=Fault.COORDINATOR)
    if reply.status == 403:
        return EventConflict(reply.service, reason, fault=Fault.COORDINATOR)
    return Unsuitable(reply.service, f"answered {reply.status}: {reason}", fault=Fault.ORACLE)


def unknown_outcome(reply: Reply) -> TransportError:
    """The error of a server that failed or has no time; `sent` tells whether something may have been stored."""
    return TransportError(
        reply.service,
        f"answered {reply.status}: {_reason(reply)[1]}",
        fault=Fault.ORACLE,
        sent=may_have_happened(reply),
        retry_after=reply.retry_after,
    )


def _reason(reply: Reply) -> tuple[str, str]:
    """(code of a signature's refusal or empty, sentence)."""
    try:
        error = msgspec.json.decode(reply.body, type=Failure).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", reply.body[:MAX_REASON].decode("utf-8", "replace") or "no reason given"
    if isinstance(error, FailureDetail):
        return error.type, error.detail[:MAX_REASON]
    return "", error[:MAX_REASON]
