"""Which transactions are bumped, and how urgently (money sections 3 and 7).

Every transaction that we want in the chain is bumped once it has been unconfirmed for half an hour, or at once when
the node refuses it for its fee: towards the estimate for six blocks. When a deadline is near the estimate for the next
block counts, and the cap on the cost is lifted:

    funding           6 blocks before the holds are decided: at left 12 or F + 12, and for good once tickets were
                      settled while it is unconfirmed
    outcome           36 blocks of ten minutes before the contract's expiry
    close             36 blocks before the outcome can be split
    sellback, close   of a share: 36 blocks before its winner can take it

Expiry, split, reclaim and the return of a coin race against nothing that comes at a known height.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from coordinator.domain import duties as d
from coordinator.domain.competitions import settling, unconfirmed
from coordinator.domain.competitions.states import (
    Competition,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    FundingBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import BelowFloor, Built, Bumped, FeeCoinsReleased, NeedsOperator
from coordinator.domain.lane import Lane
from coordinator_core.competition.schedule import BLOCK_SECONDS
from coordinator_core.units import Blocks, Seconds, UnixTime

PATIENCE: Final = Seconds(1_800)
"""How long a transaction may be unconfirmed before it is bumped, by the domain clock."""
NEAR: Final = Blocks(36)
NEAR_DECISION: Final = Blocks(6)


class Urgency(Enum):
    """Which estimate a bump aims at; the value is its number of blocks."""

    SIX_BLOCKS = 6
    NEXT_BLOCK = 1
    """A deadline is near: the cap on the cost is lifted."""


def duties(state: Competition, lane: Lane, wanted: Iterable[d.Duty]) -> Iterator[d.Duty]:
    """A bump for each wanted broadcast that is overdue, and coins of bumps that are settled."""
    for duty in wanted:
        if isinstance(duty, d.Broadcast) and urgency(state, lane, duty) is not None:
            yield d.Bump(broadcast=duty)
    yield from _releases(lane)


def urgency(state: Competition, lane: Lane, broadcast: d.Broadcast) -> Urgency | None:
    """How urgently a transaction has to be bumped now; None when it is not built, not overdue, or in the chain."""
    key = f"{broadcast.role}/{broadcast.attempt}"
    built = lane.facts.get(Built, key)
    if built is None or built.spends in lane.world.spent:
        return None
    if is_near_deadline(state, lane, broadcast.role):
        return Urgency.NEXT_BLOCK
    overdue = lane.world.now >= built.at + PATIENCE or lane.facts.get(BelowFloor, key) is not None
    return Urgency.SIX_BLOCKS if overdue else None


def is_near_deadline(state: Competition, lane: Lane, role: str) -> bool:
    """True when what is unconfirmed now will soon be too late."""
    left = _blocks_left(state, lane, role)
    return left is not None and left <= (NEAR_DECISION if role == "funding" else NEAR)


def _blocks_left(state: Competition, lane: Lane, role: str) -> Blocks | None:
    """Blocks that may pass before something else may happen instead; None when nothing will."""
    if role == "funding" and isinstance(state, FundingBroadcasted):
        return unconfirmed.blocks_to_decision(state, lane)
    if role == "outcome":
        return Blocks((lane.terms.contract.expiry - lane.world.now) // BLOCK_SECONDS)
    if role == "close" and isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted):
        return _before_maturity(lane, settling.outcome_txid(lane, state))
    if role.startswith(("sweep:sellback:", "sweep:close:")) and isinstance(state, DeltaBroadcasted):
        return _before_maturity(lane, state.split_txid)
    return None


def _before_maturity(lane: Lane, parent: str | None) -> Blocks | None:
    """Blocks that may hold our spend before the first one that may hold a spend delayed by delta."""
    height = lane.world.confirmed.get(parent or "")
    return None if height is None else Blocks(height + lane.terms.contract.delta - 1 - lane.world.tip)


def newest(lane: Lane, role: str, attempt: int) -> Bumped | None:
    """The bump that took the place of all others of a role."""
    made = (fact for fact in lane.facts.of_attempt(Bumped, attempt) if fact.role == role)
    return max(made, key=lambda fact: fact.number, default=None)


def standing(lane: Lane) -> tuple[Bumped, ...]:
    """One bump for each role: the one that is in the chain, else the newest."""
    kept: dict[tuple[str, int], Bumped] = {}
    for fact in sorted(lane.facts.all(Bumped), key=lambda fact: fact.number):
        known = kept.get((fact.role, fact.attempt))
        if known is None or known.txid not in lane.world.confirmed:
            kept[(fact.role, fact.attempt)] = fact
    return tuple(kept.values())


def trouble_topic(role: str, attempt: int) -> str:
    """Under which the operator is told that a bump lacks coins."""
    return f"bump/{role}/{attempt}"


def is_over(lane: Lane, trouble: NeedsOperator) -> bool:
    """True when trouble with a bump concerns a transaction that needs none any more."""
    built = lane.facts.get(Built, trouble.topic.removeprefix("bump/"))
    return trouble.topic.startswith("bump/") and built is not None and built.spends in lane.world.spent


def lacks_coins(lane: Lane) -> bool:
    """True while a transaction cannot be bumped before the operator has put coins into the wallet."""
    troubles = (fact for fact in lane.facts.all(NeedsOperator) if fact.topic.startswith("bump/"))
    return any(not is_over(lane, trouble) for trouble in troubles)


def look_again(lane: Lane) -> UnixTime | None:
    """The next moment of the domain clock at which something becomes overdue or its deadline near."""
    moments = [UnixTime(built.at + PATIENCE) for built in lane.facts.all(Built)]
    if lane.published is not None:
        moments.append(UnixTime(lane.terms.contract.expiry - NEAR * BLOCK_SECONDS))
    return min((moment for moment in moments if moment > lane.world.now), default=None)


def awaits_depth(lane: Lane) -> bool:
    """True while coins of a bump wait for a spend to be deep enough."""
    return any(fact.spends in lane.world.spent for fact in _reserving(lane))


def _releases(lane: Lane) -> Iterator[d.Duty]:
    """Coins stay reserved until a spend of what was to be spent is deep enough: a child that was replaced may still be
    mined, and must not conflict with another contract's funding.
    """
    for fact in _reserving(lane):
        if lane.world.spend_depth(fact.spends) >= lane.terms.contract.required_confirmations:
            yield d.ReleaseFeeCoins(attempt=fact.attempt, role=fact.role)


def _reserving(lane: Lane) -> Iterator[Bumped]:
    """The standing bump of each role for which coins are still reserved."""
    for fact in standing(lane):
        using = [made for made in lane.facts.of_attempt(Bumped, fact.attempt) if made.role == fact.role and made.coins]
        if using and lane.facts.get(FeeCoinsReleased, f"{fact.role}/{fact.attempt}") is None:
            yield fact
