"""Who is awaited while prizes are paid out (money sections 6 and 7)."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.awaited import Awaited, Clock, Party, Phase, Until
from coordinator.domain.competitions.settling import Prize, Settled
from coordinator.domain.competitions.states import DeltaBroadcasted, ExpiryBroadcasted, OutcomeBroadcasted
from coordinator.domain.facts import PrizeState
from coordinator.domain.lane import Lane

LIGHTNING_MARGIN = settling.BLOCKS_BEFORE_CLAIM + 3
"""Blocks before a claim height from which on no payment starts any more."""


def awaited(state: Settled, lane: Lane) -> Iterator[Awaited]:
    """Winners and payments, and beside them what the chain has to do: neither waits for the other."""
    if settling.outcome_unknown(state, lane):
        yield Awaited(Phase.ATTEST, Party.ORACLE, None)
        return
    listed = [_prize(state, lane, prize) for prize in settling.prizes(lane, state)]
    yield from (one for one in listed if one is not None)
    if isinstance(state, DeltaBroadcasted):
        yield _split(state, lane)
    else:
        yield _outcome(state, lane)


def _prize(state: Settled, lane: Lane, prize: Prize) -> Awaited | None:
    entry_id = prize.share.entry_id
    if prize.state is PrizeState.CLAIMABLE:
        until = Until(Clock.HEIGHT, settling.claim_height(lane, state) - LIGHTNING_MARGIN)
        return Awaited(Phase.ASK_PRIZE, Party.PLAYER, until, entry_id)
    if prize.state in (PrizeState.PAYING, PrizeState.UNKNOWN):
        until = Until(Clock.HEIGHT, settling.claim_height(lane, state) - settling.BLOCKS_BEFORE_CLAIM)
        return Awaited(Phase.PAY_PRIZE, Party.LIGHTNING, until, entry_id)
    if prize.state is PrizeState.ONCHAIN and isinstance(state, DeltaBroadcasted):
        split = lane.world.confirmed.get(state.split_txid)
        until = None if split is None else Until(Clock.HEIGHT, split + 2 * lane.terms.contract.delta)
        return Awaited(Phase.CLAIM_PRIZE, Party.PLAYER, until, entry_id)
    return None


def _outcome(state: OutcomeBroadcasted | ExpiryBroadcasted, lane: Lane) -> Awaited:
    txid = settling.outcome_txid(lane, state)
    confirmed = None if txid is None else lane.world.confirmed.get(txid)
    if confirmed is None:
        attested = isinstance(state, OutcomeBroadcasted)
        until = Until(Clock.MEDIAN, lane.terms.contract.expiry + 1) if attested else None
        return Awaited(Phase.CONFIRM_OUTCOME, Party.CHAIN, until)
    if f"{txid}:0" in lane.world.spent or settling.closable(lane, state):
        return Awaited(Phase.CONFIRM_CLOSE, Party.CHAIN, None)
    return Awaited(Phase.REACH_SPLIT, Party.CHAIN, Until(Clock.HEIGHT, settling.spendable_from(lane, state, confirmed)))


def _split(state: DeltaBroadcasted, lane: Lane) -> Awaited:
    if lane.world.confirmations(state.split_txid) < lane.terms.contract.required_confirmations:
        return Awaited(Phase.CONFIRM_SPLIT, Party.CHAIN, None)
    split = lane.world.confirmed[state.split_txid]
    return Awaited(Phase.CONFIRM_SWEEPS, Party.CHAIN, Until(Clock.HEIGHT, split + 2 * lane.terms.contract.delta))
