"""Names of the places where money stands."""

from __future__ import annotations

from enum import StrEnum


class Bucket(StrEnum):
    """Where money stands. The names are a metric's label."""

    HELD = "held"
    """Tickets that Lightning holds: not ours, not the players'."""
    ESCROWED = "escrowed"
    """In escrow outputs; hold mode has none."""
    IN_CONTRACT = "in_contract"
    """Prizes that stand in outputs of contracts."""
    OWED = "owed"
    """Debts: tickets to be paid back, and prizes that we took back unpaid."""
    PAID = "paid"
    """Prizes paid over Lightning."""
    SWEPT = "swept"
    """Prizes whose outputs we took: after the payment, or unclaimed."""
    LEFT = "left"
    """Shares that stay on chain because taking them would cost more than they hold: nobody's."""
    WALLET = "wallet"
    """Confirmed coins of the on-chain wallet."""
    RESERVED = "reserved"
    """Those of them that competitions reserved."""
