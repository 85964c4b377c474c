"""Duties: work outside that a competition wants done. Ids are a pure function of competition, kind and natural key,
so wanting a duty twice is the same as wanting it once.

A duty that watches (poll) ends only when what it watches is final.
"""

from __future__ import annotations

from typing import get_args

from coordinator.domain.duties.base import Channel, Duty, OfAttempt, Urgency
from coordinator.domain.duties.chain import Broadcast, Bump, ReleaseCoins, ReleaseFeeCoins
from coordinator.domain.duties.lightning import (
    CancelInvoice,
    CreateInvoice,
    DecideHolds,
    PayPrize,
    ReadHolds,
    SettleInvoice,
    WatchInvoice,
)
from coordinator.domain.duties.oracle import CheckPlanning, CreateEvent, PollAttestation, PublishTerms, SubmitEntries
from coordinator.domain.duties.people import NotifyPlayer, RecordAbsence, RecordDebt
from coordinator.domain.duties.signing import (
    AssembleContract,
    AwaitRoster,
    CollectSignatures,
    ForwardApproval,
    OpenBatches,
    OpenSession,
    OpenSpare,
    PinContract,
    RegisterPlayer,
)

__all__ = [
    "AnyDuty",
    "AssembleContract",
    "AwaitRoster",
    "Broadcast",
    "Bump",
    "CancelInvoice",
    "Channel",
    "CheckPlanning",
    "CollectSignatures",
    "CreateEvent",
    "CreateInvoice",
    "DecideHolds",
    "Duty",
    "ForwardApproval",
    "NotifyPlayer",
    "OfAttempt",
    "OpenBatches",
    "OpenSession",
    "OpenSpare",
    "PayPrize",
    "PinContract",
    "PollAttestation",
    "PublishTerms",
    "ReadHolds",
    "RecordAbsence",
    "RecordDebt",
    "RegisterPlayer",
    "ReleaseCoins",
    "ReleaseFeeCoins",
    "SettleInvoice",
    "SubmitEntries",
    "Urgency",
    "WatchInvoice",
    "urgency_of",
]

AnyDuty = (
    CheckPlanning
    | PublishTerms
    | CreateEvent
    | SubmitEntries
    | PollAttestation
    | CreateInvoice
    | WatchInvoice
    | ReadHolds
    | DecideHolds
    | SettleInvoice
    | CancelInvoice
    | PayPrize
    | OpenSession
    | RegisterPlayer
    | AwaitRoster
    | PinContract
    | OpenBatches
    | OpenSpare
    | ForwardApproval
    | CollectSignatures
    | AssembleContract
    | Broadcast
    | Bump
    | ReleaseFeeCoins
    | ReleaseCoins
    | RecordDebt
    | RecordAbsence
    | NotifyPlayer
)

_URGENCY = {member.kind(): member.urgency for member in get_args(AnyDuty)}


def urgency_of(kind: str) -> Urgency:
    """The class of a kind as it is stored; of one that this release does not know the usual one."""
    return _URGENCY.get(kind, Urgency.ROUTINE)
