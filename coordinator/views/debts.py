"""What the coordinator owes besides prizes, as the owner of an entry sees it."""

from __future__ import annotations

import msgspec

from coordinator.domain.competitions import debts
from coordinator.domain.lane import Lane


def debts_of(lane: Lane, entry_id: str) -> list[dict[str, object]]:
    """Every debt to the owner of an entry with its signed receipt."""
    return [
        {
            "reason": owed.reason.value,
            "amount": owed.amount,
            "since": owed.since,
            "receipt": msgspec.json.decode(owed.receipt),
        }
        for owed in debts.of_entry(lane, entry_id)
    ]
