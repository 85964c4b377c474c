"""Facts: what is known of one competition, each written once or upserted by its natural key.

An event only says "these facts changed": early, late, doubled or reordered notifications end in the same facts.
Facts never hold secrets. Large values (contract parameters, signatures) stand in the blob table under their SHA256.
Heights of transactions are not facts: they are read from the chain index at each load, so a reorg undoes nothing here.
"""

from __future__ import annotations

from coordinator.domain.facts.base import AttemptFact, Fact
from coordinator.domain.facts.book import AnyFact, FactBook
from coordinator.domain.facts.keygen import (
    AttemptFault,
    EntriesPosted,
    HoldsRead,
    Keygen,
    OracleEvent,
    PlanningChecked,
    Registered,
    Seal,
    SessionOpen,
)
from coordinator.domain.facts.onchain import Attested, Built, CoinsReleased, HoldsDecided, Sent
from coordinator.domain.facts.outages import Outage
from coordinator.domain.facts.payouts import EntryKeyHeld, Payout, PreimageHeld, PrizeState
from coordinator.domain.facts.people import CancelAsked, NeedsOperator, Notified
from coordinator.domain.facts.signing import (
    Approval,
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
    "AttemptFact",
    "AttemptFault",
    "Attested",
    "Batch",
    "BatchHung",
    "BatchSigned",
    "BatchesOpen",
    "Built",
    "CancelAsked",
    "CoinsReleased",
    "ContractSigned",
    "Drafted",
    "EntriesPosted",
    "Entry",
    "EntryKeyHeld",
    "Fact",
    "FactBook",
    "Forwarded",
    "HoldState",
    "HoldsDecided",
    "HoldsRead",
    "Invoice",
    "Keygen",
    "KickOffHeld",
    "NeedsOperator",
    "Notified",
    "OracleEvent",
    "Outage",
    "Payout",
    "Pinned",
    "PlanningChecked",
    "PreimageHeld",
    "PrizeState",
    "Published",
    "Ready",
    "Registered",
    "Seal",
    "Sent",
    "SessionOpen",
    "SpareOpen",
    "Ticket",
]
