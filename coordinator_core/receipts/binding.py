"""What all receipts share: whose key signs them, and that they repeat what is already agreed."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault, VerificationFailed


def coordinator_key(terms: Terms) -> bytes:
    """The x-only key that the terms name, 32 bytes."""
    return bytes.fromhex(terms.coordinator_key)


def check_bound(pairs: Sequence[tuple[str, object, object]]) -> None:
    """Raise VerificationFailed for the first (name, given, wanted) that differs."""
    for name, given, wanted in pairs:
        if given != wanted:
            raise VerificationFailed(f"receipt.{name}", "is not that of terms and entry", fault=Fault.COORDINATOR)
