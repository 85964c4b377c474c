"""Asks an oracle for its attestation of one event. What it says is verified against the contract, not
here.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

import httpx
import msgspec
from msgspec import Struct

from coordinator.cli.exchange import TIMEOUT_SECONDS, ServiceFailed, exchange
from coordinator_core.competition.documents import Hex32
from coordinator_core.errors import Fault

MAX_ANSWER_BYTES: Final = 8_000_000


class NotAttested(ServiceFailed):
    """The oracle has not attested yet; after the contract's expiry it never will."""

    code = "cli.not_attested"


class _Event(Struct, frozen=True):
    attestation: Hex32 | None


def fetch_attestation(url: str, event_id: UUID, transport: httpx.BaseTransport | None = None) -> bytes:
    """The scalar, 32 bytes. Raises ServiceFailed or NotAttested."""
    address = f"{url.rstrip('/')}/oracle/events/{event_id}"
    with httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False, transport=transport) as client:
        status, body = exchange(client, "GET", address, limit=MAX_ANSWER_BYTES, service="oracle", fault=Fault.ORACLE)
    if status != httpx.codes.OK:
        raise ServiceFailed("oracle", f"answered with status {status}", Fault.ORACLE)
    try:
        attestation = msgspec.json.decode(body, type=_Event).attestation
    except (msgspec.DecodeError, UnicodeError, RecursionError) as problem:
        raise ServiceFailed("oracle", f"answered {problem}", Fault.ORACLE) from None
    if attestation is None:
        raise NotAttested("oracle", "has not attested this event; after the expiry use --expiry", Fault.ORACLE)
    return bytes.fromhex(attestation)
