"""Errors of the embedded node.

Refused
├── TransactionRejected   reason, details, kind     mempool policy or consensus said no, in Core's words
├── BlockRejected         reason                    the validation engine refused a block
├── ClockRefused                                    a time the engine would not accept in a block
└── FundsMissing                                    the faucet holds too few spendable coins
CoreError
├── KernelMissing                                   py-bitcoinkernel is not installed
├── DataDirectoryInUse                              another process holds the data directory
└── JournalDamaged                                  the block journal is not the engine's own
"""

from __future__ import annotations

from enum import StrEnum

from coordinator_core.errors import CoreError, Fault, Refused


class RejectionKind(StrEnum):
    """What a rejection means for a package that holds the transaction."""

    POLICY = "policy"
    """Final for this transaction: a package cannot help."""
    RECONSIDERABLE = "reconsiderable"
    """The fee is too low alone; a child may pay for it."""
    MISSING_INPUTS = "missing inputs"
    """Nothing known has these outputs; another transaction of the package may."""
    KNOWN = "known"
    """The transaction, or one with the same id, is already there."""


class TransactionRejected(Refused):
    """A transaction was not taken. `reason` is Core's reject reason, `details` what Core adds after it."""

    code = "node.transaction_rejected"
    kind: RejectionKind
    details: str

    def __init__(self, reason: str, details: str = "", kind: RejectionKind = RejectionKind.POLICY) -> None:
        super().__init__("transaction", reason, fault=Fault.CALLER)
        self.kind = kind
        self.details = details

    def __str__(self) -> str:
        return f"{self.reason}, {self.details}" if self.details else self.reason


class BlockRejected(Refused):
    """A block was not connected. `reason` is the engine's own text."""

    code = "node.block_rejected"

    def __init__(self, reason: str) -> None:
        super().__init__("block", reason)


class ClockRefused(Refused):
    """A time the validation engine would refuse in a block."""

    code = "node.clock"


class FundsMissing(Refused):
    """The faucet's spendable coins do not reach the amount."""

    code = "node.faucet_funds"


class KernelMissing(CoreError):
    """The validation engine is not installed."""

    code = "node.kernel_missing"


class DataDirectoryInUse(CoreError):
    """Another node holds the lock of the data directory."""

    code = "node.data_directory_in_use"


class JournalDamaged(CoreError):
    """The block journal does not start as this node writes it."""

    code = "node.journal_damaged"
