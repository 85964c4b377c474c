"""Under which names a competition keeps its secrets."""

from __future__ import annotations


def ticket_secret(payment_hash: str) -> str:
    """Name of a ticket preimage in the secret store."""
    return f"ticket/{payment_hash}"


def payout_secret(entry_id: str) -> str:
    """Name of a payout preimage in the secret store."""
    return f"payout/{entry_id}"


def entry_key_secret(entry_id: str) -> str:
    """Name of an entry key that a paid winner gave."""
    return f"entry-key/{entry_id}"
