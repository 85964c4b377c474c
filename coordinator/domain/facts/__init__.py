"""Facts: what is known of one competition, each written once or upserted by its natural key.

An event only says "these facts changed": early, late, doubled or reordered notifications end in the same facts (`rank`
says which of two observations is the later one, whichever arrives first).
Facts never hold secrets. Large values (contract parameters, signatures) stand in the blob table under their SHA256.
Heights of transactions are not facts: they are read from the chain index at each load, so a reorg undoes nothing here.
"""

from __future__ import annotations

from coordinator.domain.facts.attendance import Attended, Missed
from coordinator.domain.facts.base import AttemptFact, Fact
from coordinator.domain.facts.book import AnyFact, FactBook
from coordinator.domain.facts.debts import Owed
from coordinator.domain.facts.keygen import (
    AttemptFault,
    EntriesPosted,
    HoldsRead,
    Keygen,
    OracleEvent,
    PlanningChecked,
    Queued,
    Registered,
    Seal,
    SessionOpen,
)
from coordinator.domain.facts.onchain import (
    Attested,
    BelowFloor,
    Built,
    Bumped,
    BumpKind,
    CoinsReleased,
    FeeCoinsReleased,
    HoldsDecided,
    Sent,
)
from coordinator.domain.facts.outages import Outage
from coordinator.domain.facts.payouts import EntryKeyHeld, Payout, PreimageHeld, PrizeState
from coordinator.domain.facts.people import CancelAsked, NeedsOperator, Notified
from coordinator.domain.facts.signing import (
    Approval,
    ApprovalSpent,
    Batch,
    BatchesOpen,
    BatchHung,
    BatchSigned,
    ContractSigned,
    Forwarded,
    KickOffHeld,
    Pinned,
    Ready,
    SpareOpen,
)
from coordinator.domain.facts.tickets import Drafted, Entry, HoldState, Invoice, Published, Ticket

__all__ = [
    "AnyFact",
    "Approval",
    "ApprovalSpent",
    "AttemptFact",
    "AttemptFault",
    "Attended",
    "Attested",
    "Batch",
    "BatchHung",
    "BatchSigned",
    "BatchesOpen",
    "BelowFloor",
    "Built",
    "BumpKind",
    "Bumped",
    "CancelAsked",
    "CoinsReleased",
    "ContractSigned",
    "Drafted",
    "EntriesPosted",
    "Entry",
    "EntryKeyHeld",
    "Fact",
    "FactBook",
    "FeeCoinsReleased",
    "Forwarded",
    "HoldState",
    "HoldsDecided",
    "HoldsRead",
    "Invoice",
    "Keygen",
    "KickOffHeld",
    "Missed",
    "NeedsOperator",
    "Notified",
    "OracleEvent",
    "Outage",
    "Owed",
    "Payout",
    "Pinned",
    "PlanningChecked",
    "PreimageHeld",
    "PrizeState",
    "Published",
    "Queued",
    "Ready",
    "Registered",
    "Seal",
    "Sent",
    "SessionOpen",
    "SpareOpen",
    "Ticket",
]
