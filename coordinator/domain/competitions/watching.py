"""What a competition watches on chain, and when it has to be looked at again although nothing happened."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.competitions import bumping, closing, settling
from coordinator.domain.competitions.states import (
    AwaitingAttestation,
    AwaitingKeygen,
    AwaitingSigning,
    Cancelled,
    CollectingEntries,
    Competition,
    Completed,
    Created,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    Failed,
    FundingBroadcasted,
    FundingConfirmed,
    OutcomeBroadcasted,
    Returning,
)
from coordinator.domain.facts import Bumped, Drafted, Payout, Pinned, PrizeState
from coordinator.domain.lane import Lane
from coordinator_core.competition.schedule import end_of_closing
from coordinator_core.units import Height, UnixTime


@dataclass(frozen=True, slots=True)
class Watched:
    """Transactions by txid and outpoints as "txid:vout"."""

    transactions: frozenset[str]
    outpoints: frozenset[str]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The next moment at which `advance` or `wanted` may answer differently without a new fact."""

    wall: UnixTime | None = None
    domain: UnixTime | None = None
    height: Height | None = None


def watched(state: Competition, lane: Lane) -> Watched:
    """Everything this competition ever put or may put on chain."""
    transactions: set[str] = set()
    outpoints: set[str] = set()
    for pin in lane.facts.all(Pinned):
        transactions.add(pin.funding_txid)
        outpoints.add(f"{pin.funding_txid}:{pin.funding_vout}")
        outpoints.update(pin.inputs)
    transactions.update(fact.txid for fact in lane.facts.all(Bumped))
    if isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        txid = settling.outcome_txid(lane, state)
        if txid is not None:
            transactions.add(txid)
            outpoints.add(f"{txid}:0")
    if isinstance(state, DeltaBroadcasted):
        transactions.add(state.split_txid)
        outpoints.update(f"{state.split_txid}:{p.share.vout}" for p in settling.prizes(lane, state))
    return Watched(frozenset(transactions), frozenset(outpoints))


def deadline(state: Competition, lane: Lane) -> Deadline:
    """When to look again. States whose edges are counted in blocks look at each block."""
    if isinstance(state, Completed | Cancelled | Failed):
        return Deadline()
    if isinstance(state, Created):
        drafted = lane.facts.get(Drafted)
        return Deadline(domain=drafted.closes_at if drafted is not None else None)
    if isinstance(state, CollectingEntries):
        return Deadline(domain=lane.terms.schedule.entries_close)
    if isinstance(state, Returning):
        return Deadline()
    if isinstance(state, FundingBroadcasted | FundingConfirmed | AwaitingAttestation):
        return Deadline(height=_next_block(lane), domain=bumping.look_again(lane))
    if isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        return Deadline(height=_next_block(lane), wall=_next_try(lane), domain=bumping.look_again(lane))
    return _in_closing(state, lane)


def _in_closing(state: Competition, lane: Lane) -> Deadline:
    wall: UnixTime | None = None
    if isinstance(state, AwaitingKeygen):
        wall = _window(lane, closing.sealing_deadline(lane, state.attempt), lane.terms.schedule.closing.sealing)
    if isinstance(state, AwaitingSigning):
        wall = _window(lane, closing.approval_deadline(lane, state.attempt), lane.terms.schedule.closing.approvals)
    end = end_of_closing(lane.terms.schedule)
    return Deadline(wall=wall, domain=end if lane.world.now < end else None, height=_next_block(lane))


def _window(lane: Lane, ends: UnixTime | None, grace: int) -> UnixTime | None:
    if ends is None:
        return None
    return ends if lane.world.wall < ends else UnixTime(ends + grace)


def _next_try(lane: Lane) -> UnixTime | None:
    tries = [
        p.next_try for p in lane.facts.all(Payout) if p.state is PrizeState.PAYING and p.next_try > lane.world.wall
    ]
    return min(tries, default=None)


def _next_block(lane: Lane) -> Height:
    return Height(lane.world.tip + 1)
