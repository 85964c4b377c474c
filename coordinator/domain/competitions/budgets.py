"""budget(): by when a competition should have left its state. Beyond it somebody is told; nothing else follows.

From the schedule of the terms: a step of ours or of a service has the length that an attempt gives it, a window its end
and the grace after it, a step on chain its height. Time in which a service was down does not count: it is told of
itself.
"""

from __future__ import annotations

from typing import Final, assert_never

from coordinator.domain.competitions import closing, settling
from coordinator.domain.competitions.states import (
    AwaitingAttestation,
    AwaitingEscrow,
    AwaitingKeygen,
    AwaitingSigning,
    Cancelled,
    Closing,
    CollectingEntries,
    Competition,
    Completed,
    Created,
    DeltaBroadcasted,
    EntriesSubmitted,
    EscrowConfirmed,
    EventCreated,
    ExpiryBroadcasted,
    Failed,
    FundingBroadcasted,
    FundingConfirmed,
    FundingReady,
    OnChain,
    Opening,
    OutcomeBroadcasted,
    Returning,
    Settling,
)
from coordinator.domain.competitions.watching import Deadline
from coordinator.domain.lane import Lane
from coordinator_core.competition.closing import window_end
from coordinator_core.competition.schedule import REFUND_BLOCKS
from coordinator_core.units import Blocks, Height, Seconds, UnixTime

LEAST: Final = Seconds(60)
"""Even where the windows of the terms are shorter, as in the demo."""
OUTSIDE_TERMS: Final = Seconds(900)
"""For what has no window in the terms: completing them, and giving everything back."""
UNCONFIRMED: Final = Seconds(86_400)
NEAR: Final = Blocks(6)
"""An hour of blocks for what is done once a height is reached."""


def budget(state: Competition, lane: Lane, entered_at: UnixTime) -> Deadline:
    """The last moment of a state that it entered at `entered_at` (wall clock); none of one that is over."""
    match state:
        case Created() | CollectingEntries() | AwaitingEscrow() | EscrowConfirmed():
            return _opening(state, lane, entered_at)
        case EventCreated() | AwaitingKeygen() | EntriesSubmitted() | AwaitingSigning() | FundingReady():
            return _closing(state, lane, entered_at)
        case FundingBroadcasted() | FundingConfirmed() | AwaitingAttestation():
            return _on_chain(state, lane)
        case OutcomeBroadcasted() | ExpiryBroadcasted() | DeltaBroadcasted():
            return _settling(state, lane, entered_at)
        case Returning():
            return _within(lane, entered_at, UNCONFIRMED if closing.may_appear(lane) else OUTSIDE_TERMS)
        case Completed() | Cancelled() | Failed():
            return Deadline()
        case _:
            assert_never(state)


def _opening(state: Opening, lane: Lane, entered_at: UnixTime) -> Deadline:
    match state:
        case Created():
            return _within(lane, entered_at, OUTSIDE_TERMS)
        case CollectingEntries():
            return Deadline(domain=UnixTime(lane.terms.schedule.entries_close + LEAST))
        case AwaitingEscrow() | EscrowConfirmed():
            return _within(lane, entered_at, lane.terms.schedule.closing.entries)
        case _:
            assert_never(state)


def _closing(state: Closing, lane: Lane, entered_at: UnixTime) -> Deadline:
    windows = lane.terms.schedule.closing
    match state:
        case EventCreated() | FundingReady():
            return _within(lane, entered_at, windows.entries)
        case AwaitingKeygen():
            ends = closing.sealing_deadline(lane, state.attempt)
            return _window(lane, entered_at, ends, windows.sealing)
        case EntriesSubmitted():
            return _within(lane, entered_at, Seconds(windows.entries + windows.kickoff_grace))
        case AwaitingSigning():
            ends = closing.approval_deadline(lane, state.attempt)
            return _window(lane, entered_at, ends, windows.approvals)
        case _:
            assert_never(state)


def _on_chain(state: OnChain, lane: Lane) -> Deadline:
    match state:
        case FundingBroadcasted():
            return Deadline(height=Height(lane.terms.schedule.funding_deadline + REFUND_BLOCKS))
        case FundingConfirmed():
            return Deadline(height=Height(state.funding_height + lane.terms.contract.required_confirmations + NEAR))
        case AwaitingAttestation():
            return Deadline(median=UnixTime(lane.terms.contract.expiry + OUTSIDE_TERMS))
        case _:
            assert_never(state)


def _settling(state: Settling, lane: Lane, entered_at: UnixTime) -> Deadline:
    match state:
        case OutcomeBroadcasted() | ExpiryBroadcasted():
            txid = settling.outcome_txid(lane, state)
            confirmed = None if txid is None else lane.world.confirmed.get(txid)
            spendable = None if confirmed is None else settling.spendable_from(lane, state, confirmed)
        case DeltaBroadcasted():
            split = lane.world.confirmed.get(state.split_txid)
            spendable = None if split is None else Height(split + 2 * lane.terms.contract.delta)
        case _:
            assert_never(state)
    if spendable is None:
        return _within(lane, entered_at, UNCONFIRMED)
    return Deadline(height=Height(spendable + REFUND_BLOCKS))


def _window(lane: Lane, entered_at: UnixTime, ends: UnixTime | None, grace: Seconds) -> Deadline:
    """A window that players have, and the time of the service after it; before it opens, the time of a step."""
    if ends is None:
        return _within(lane, entered_at, lane.terms.schedule.closing.entries)
    return Deadline(wall=UnixTime(ends + grace + LEAST))


def _within(lane: Lane, entered_at: UnixTime, seconds: Seconds) -> Deadline:
    return Deadline(wall=window_end(entered_at, Seconds(max(LEAST, seconds)), closing.outages(lane)))
