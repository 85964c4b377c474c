"""What a competition watches on chain, and when it has to be looked at again although nothing happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from coordinator.domain.competitions import attendance, bumping, closing, settling
from coordinator.domain.competitions.notices import next_reminder
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
from coordinator.domain.protection import has_left
from coordinator_core.competition.schedule import latest_funding
from coordinator_core.units import Height, UnixTime


@dataclass(frozen=True, slots=True)
class Watched:
    """Transactions by txid and outpoints as "txid:vout", each with the lowest block that may hold it or its spend."""

    transactions: Mapping[str, Height]
    outpoints: Mapping[str, Height]


@dataclass(frozen=True, slots=True)
class Deadline:
    """The next moment at which `advance` or `wanted` may answer differently without a new fact."""

    wall: UnixTime | None = None
    domain: UnixTime | None = None
    median: UnixTime | None = None
    """Median time past: what absolute time locks follow."""
    height: Height | None = None


def watched(state: Competition, lane: Lane) -> Watched:
    """Everything this competition ever put or may put on chain.

    Coins of a funding are unspent when they are pinned. What spends an outpoint that is watched is in the block of that
    spend, or in none up to the tip.
    """
    transactions: dict[str, Height] = {}
    outpoints: dict[str, Height] = {}
    for pin in lane.facts.all(Pinned):
        outpoints.update(dict.fromkeys(pin.inputs, pin.at_height))
        transactions[pin.funding_txid] = outpoints[_funding(pin)] = pin.at_height
    transactions.update((fact.txid, _spent_at(lane, fact.spends)) for fact in lane.facts.all(Bumped))
    if isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        txid = settling.outcome_txid(lane, state)
        if txid is not None:
            funding = _funding(lane.facts.get(Pinned, state.attempt))
            transactions[txid] = outpoints[f"{txid}:0"] = _spent_at(lane, funding)
        if isinstance(state, DeltaBroadcasted):
            since = _spent_at(lane, f"{txid}:0")
            transactions[state.split_txid] = since
            outpoints.update((f"{state.split_txid}:{p.share.vout}", since) for p in settling.prizes(lane, state))
    return Watched(transactions, outpoints)


def _funding(pin: Pinned | None) -> str:
    return "" if pin is None else f"{pin.funding_txid}:{pin.funding_vout}"


def _spent_at(lane: Lane, outpoint: str) -> Height:
    """Where a watched outpoint is spent; while it is not, no block up to the tip can hold the spend."""
    seen = lane.world.spent.get(outpoint)
    return _next_block(lane) if seen is None else seen.height


def deadline(state: Competition, lane: Lane) -> Deadline:
    """When to look again. Whatever is counted in blocks is looked at with each block."""
    found = _of_state(state, lane)
    if found.height is None and bumping.awaits_depth(lane):
        found = replace(found, height=_next_block(lane))
    missed = attendance.look_again(lane)
    if missed is not None:
        found = replace(found, wall=missed if found.wall is None else min(found.wall, missed))
    return found


def _of_state(state: Competition, lane: Lane) -> Deadline:
    if isinstance(state, Completed | Cancelled | Failed):
        return Deadline()
    if isinstance(state, Created):
        drafted = lane.facts.get(Drafted)
        return Deadline(domain=drafted.closes_at if drafted is not None else None)
    if isinstance(state, CollectingEntries):
        return Deadline(domain=lane.terms.schedule.entries_close)
    if isinstance(state, Returning):
        waits = bool(closing.may_appear(lane))
        return Deadline(height=_next_block(lane), domain=bumping.look_again(lane)) if waits else Deadline()
    if isinstance(state, FundingBroadcasted | FundingConfirmed):
        patience = bumping.look_again(lane)
        return Deadline(height=_next_block(lane), domain=patience if has_left(lane) else _next_date(lane, patience))
    if isinstance(state, AwaitingAttestation):
        return _idle(state, lane)
    if isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        return Deadline(height=_next_block(lane), wall=_next_try(lane), domain=bumping.look_again(lane))
    return _in_closing(state, lane)


def _idle(state: AwaitingAttestation, lane: Lane) -> Deadline:
    """For days nothing is counted in blocks, and a block costs nothing for those who wait: until the expiry by median
    time past, or while something in the chain grows deeper.
    """
    pin = lane.facts.get(Pinned, state.attempt)
    inputs = frozenset(pin.inputs) if pin is not None else frozenset[str]()
    growing = any(o in inputs and seen.txid != state.funding_txid for o, seen in lane.world.spent.items())
    counts = growing or lane.world.confirmations(state.funding_txid) == 0
    expiry = UnixTime(lane.terms.contract.expiry + 1)
    return Deadline(
        domain=bumping.look_again(lane),
        median=expiry if lane.world.median_time_past < expiry else None,
        height=_next_block(lane) if counts else None,
    )


def _in_closing(state: Competition, lane: Lane) -> Deadline:
    wall: UnixTime | None = None
    if isinstance(state, AwaitingKeygen):
        wall = _window(lane, closing.sealing_deadline(lane, state.attempt), lane.terms.schedule.closing.sealing)
    if isinstance(state, AwaitingSigning):
        wall = _window(lane, closing.approval_deadline(lane, state.attempt), lane.terms.schedule.closing.approvals)
    reminder = next_reminder(state, lane)
    if reminder is not None:
        wall = reminder if wall is None else min(wall, reminder)
    return Deadline(wall=wall, domain=_next_date(lane, closing.end(lane)), height=_next_block(lane))


def _next_date(lane: Lane, *moments: UnixTime | None) -> UnixTime | None:
    """The first of these and of the last moment for the funding to leave that is still to come, by the domain clock."""
    listed = [*moments, UnixTime(latest_funding(lane.terms) + 1)]
    return min((moment for moment in listed if moment is not None and moment > lane.world.now), default=None)


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
