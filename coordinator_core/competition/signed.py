"""Documents that travel as signed Nostr events: the content is the document's canonical JSON.

Any Nostr tool can check who signed it. The kind and the document's own type keep one statement from
being taken for another.
"""

from __future__ import annotations

from typing import Final, TypeVar

from msgspec import Struct

from coordinator_core.competition.documents import canonical_bytes, decode_canonical
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.nostr.event import Event, sign_event, verify_event
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

ENTRY_KIND: Final = 8_701
RESERVATION_KIND: Final = 8_702
ENTRY_RECEIPT_KIND: Final = 8_703
DEBT_RECEIPT_KIND: Final = 8_704
REPAYMENT_KIND: Final = 8_705

D = TypeVar("D", bound=Struct)


def sign_document(
    secret: SecretKey, kind: int, document: Struct, created_at: UnixTime, *, aux: bytes | None = None
) -> Event:
    """The event that carries a document."""
    return sign_event(secret, kind, canonical_bytes(document).decode(), created_at=created_at, aux=aux)


def open_document(event: Event, kind: int, document: type[D], author: bytes, field: str, fault: Fault) -> D:
    """The document of an event of this kind by this x-only key (32 bytes), in canonical form.

    Raises VerificationFailed, InvalidSignature or InvalidInput, all with `fault`.
    """
    if event.kind != kind:
        raise VerificationFailed(field, f"is an event of kind {event.kind}, not {kind}", fault=fault)
    if event.author != author:
        raise VerificationFailed(field, "is signed by another key", fault=fault)
    verify_event(event, fault=fault)
    try:
        return decode_canonical(event.content.encode(), document, field)
    except InvalidInput as problem:
        problem.fault = fault
        raise
