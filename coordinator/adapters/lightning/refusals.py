"""LND's refusals as errors of the port.

Error texts are no contract. They decide nothing about money here: only whether an operator has to act, and whether
the node is still starting. What an invoice or payment is, a lookup tells.
"""

from __future__ import annotations

from typing import Any

import msgspec

from coordinator.adapters.http import Reply
from coordinator.adapters.lightning.wire import ErrorWire, Line
from coordinator.ports.faults import PortError, Rejected, Unreachable, Unsuitable
from coordinator_core.errors import Fault

BAKE = "bake one with `coordinator lightning bake-macaroon`"
NOT_FOUND = 5
UNIMPLEMENTED = 12
UNKNOWN = 2
NO_INVOICE_YET_TEXT = "there are no existing invoices"
"""What a node says of every hash, without the code of an unknown invoice, until it has made its first invoice."""
NO_ROUTE_TEXT = "Not Found"
"""What the HTTP gateway says of a path it does not serve, with the code of an unknown invoice or payment."""
_STARTING = {
    "wallet locked": "the wallet is locked: unlock it (lncli unlock)",
    "wallet not created": "the node has no wallet: make one (lncli create)",
    "waiting to start": "the node is starting",
    "starting up": "the node is starting",
}
_FORBIDDEN = "permission denied"
_FOREIGN = ("macaroon", "verification failed", "encoding/hex")


def error_of(reply: Reply) -> ErrorWire:
    """The refusal in a body: bare from plain calls, wrapped in {"error": ...} from streams."""
    return wrapped_error(reply) or _bare_error(reply)


def wrapped_error(reply: Reply) -> ErrorWire | None:
    """The refusal that a stream's own handler wrote; None for anything that never reached it."""
    try:
        return msgspec.json.decode(reply.body, type=Line[Any]).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _bare_error(reply: Reply) -> ErrorWire:
    try:
        return msgspec.json.decode(reply.body, type=ErrorWire)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ErrorWire(message=f"status {reply.status} without a reason")


def is_unknown_invoice(reply: Reply) -> bool:
    """True when a lookup says that there is no such invoice. A path that is not served has the same code."""
    error = error_of(reply)
    if reply.status == 404:
        return error.code == NOT_FOUND and error.message != NO_ROUTE_TEXT
    return reply.status == 500 and error.code == UNKNOWN and error.message == NO_INVOICE_YET_TEXT


def is_unknown_payment(reply: Reply) -> bool:
    """True when the router itself says that a payment was never started.

    A hash that broke the path is refused with 404 and code 5 as well, but without the wrapper of a stream. Taking
    one for the other would pay twice.
    """
    error = wrapped_error(reply)
    return reply.status == 404 and error is not None and error.code == NOT_FOUND


def is_not_allowed(reply: Reply) -> bool:
    """True when the macaroon that was sent does not allow the call. Checking another macaroon says so with 400."""
    return reply.status == 500 and _FORBIDDEN in error_of(reply).message


def refusal(reply: Reply) -> PortError:
    """The error of an answer that is not 2xx."""
    if reply.is_later:
        return reply.later()
    error = error_of(reply)
    if error.code == UNIMPLEMENTED or (reply.status == 404 and error.message == NO_ROUTE_TEXT):
        return Unsuitable(reply.service, "the node does not serve this call", fault=Fault.COORDINATOR)
    for words, sentence in _STARTING.items():
        if words in error.message:
            return Unreachable(reply.service, sentence, fault=Fault.LIGHTNING)
    if _FORBIDDEN in error.message:
        return Unsuitable(reply.service, f"the macaroon does not allow this call: {BAKE}", fault=Fault.COORDINATOR)
    if any(words in error.message for words in _FOREIGN):
        return Unsuitable(reply.service, f"the macaroon is not of this node: {BAKE}", fault=Fault.COORDINATOR)
    reason = error.message or f"status {reply.status}"
    return Rejected(reply.service, reason, fault=Fault.LIGHTNING, remote_code=str(error.code))
