"""One file a state. The unions say which states belong to which part of the life."""

from __future__ import annotations

from typing import TypeAlias

from coordinator.domain.competitions.states.awaiting_attestation import AwaitingAttestation
from coordinator.domain.competitions.states.awaiting_escrow import AwaitingEscrow
from coordinator.domain.competitions.states.awaiting_keygen import AwaitingKeygen
from coordinator.domain.competitions.states.awaiting_signing import AwaitingSigning
from coordinator.domain.competitions.states.collecting_entries import CollectingEntries
from coordinator.domain.competitions.states.created import Created
from coordinator.domain.competitions.states.delta_broadcasted import DeltaBroadcasted
from coordinator.domain.competitions.states.ended import Cancelled, Completed, Failed
from coordinator.domain.competitions.states.entries_submitted import EntriesSubmitted
from coordinator.domain.competitions.states.escrow_confirmed import EscrowConfirmed
from coordinator.domain.competitions.states.event_created import EventCreated
from coordinator.domain.competitions.states.funding_broadcasted import FundingBroadcasted
from coordinator.domain.competitions.states.funding_confirmed import FundingConfirmed
from coordinator.domain.competitions.states.funding_ready import FundingReady
from coordinator.domain.competitions.states.outcome_broadcasted import ExpiryBroadcasted, OutcomeBroadcasted
from coordinator.domain.competitions.states.returning import Returning

Opening: TypeAlias = Created | CollectingEntries | AwaitingEscrow | EscrowConfirmed
Closing: TypeAlias = EventCreated | AwaitingKeygen | EntriesSubmitted | AwaitingSigning | FundingReady
OnChain: TypeAlias = FundingBroadcasted | FundingConfirmed | AwaitingAttestation
Settling: TypeAlias = OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted
Ended: TypeAlias = Completed | Cancelled | Failed
Competition: TypeAlias = Opening | Closing | OnChain | Settling | Returning | Ended

__all__ = [
    "AwaitingAttestation",
    "AwaitingEscrow",
    "AwaitingKeygen",
    "AwaitingSigning",
    "Cancelled",
    "Closing",
    "CollectingEntries",
    "Competition",
    "Completed",
    "Created",
    "DeltaBroadcasted",
    "Ended",
    "EntriesSubmitted",
    "EscrowConfirmed",
    "EventCreated",
    "ExpiryBroadcasted",
    "Failed",
    "FundingBroadcasted",
    "FundingConfirmed",
    "FundingReady",
    "OnChain",
    "Opening",
    "OutcomeBroadcasted",
    "Returning",
    "Settling",
]
