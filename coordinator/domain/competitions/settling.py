"""Paying out: prizes by entry, and when the contract's outputs are all settled (money sections 6 and 7).

One code for attested outcomes, refund-all and expiry. What a prize is follows from the facts at each load.
"""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.domain.competitions.states import (
    Competition,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import (
    Attested,
    Built,
    Bumped,
    BumpKind,
    ContractSigned,
    EntryKeyHeld,
    NeedsOperator,
    Payout,
    Pinned,
    PreimageHeld,
    PrizeState,
    Sent,
)
from coordinator.domain.lane import Lane
from coordinator.domain.typestate import Step
from coordinator_core.competition.payouts import payouts_at
from coordinator_core.competition.schedule import BLOCK_SECONDS
from coordinator_core.errors import CoreError, Fault
from coordinator_core.units import Blocks, Height, Sats

FINAL = frozenset(PrizeState) - {
    *(PrizeState.CLAIMABLE, PrizeState.PAYING, PrizeState.UNKNOWN, PrizeState.ONCHAIN),
}
BLOCKS_BEFORE_CLAIM = 13
SECONDS_BEFORE_EXPIRY = 36 * BLOCK_SECONDS
"""No prize is paid of an outcome that has less time than this to confirm: the expiry might pay it again."""
SWEEPS = ("close", "sellback", "reclaim")
"""How we take a winner's output of the split."""

Settled = OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted


class Equivocated(CoreError):
    """The oracle signed two outcomes: the one that is in the chain is not the one that it attested to us."""

    code = "oracle.equivocated"
    fault = Fault.ORACLE


@dataclass(frozen=True, slots=True)
class Share:
    """What an entry wins: `gross` of the pool, `net` over Lightning. `vout` is its place among the split's outputs."""

    entry_id: str
    place: int | None
    """1 for the first place; None for a stake given back."""
    gross: Sats
    net: Sats
    vout: int


@dataclass(frozen=True, slots=True)
class Prize:
    """A share and what became of it."""

    share: Share
    state: PrizeState
    payout: Payout | None = None


def shares(lane: Lane, roster: tuple[str, ...], outcome: int | None) -> tuple[Share, ...]:
    """Who gets what of an outcome, by ascending player index (the order of the split's outputs).

    `outcome` None is the expiry; the last attested outcome is refund-all. Both give every stake back in full.
    """
    paid = payouts_at(lane.terms, len(roster), outcome)
    outputs = {payout.player: vout for vout, payout in enumerate(sorted(paid, key=lambda p: p.player))}
    listed = [Share(roster[p.player], p.place, p.gross, p.net, outputs[p.player]) for p in paid]
    return tuple(sorted(listed, key=lambda share: share.vout))


def outcome_of(state: Settled) -> int | None:
    """The attested outcome of a state that pays out; None for the expiry."""
    return None if isinstance(state, ExpiryBroadcasted) else state.outcome


def funding_spender(lane: Lane, state: Settled) -> str | None:
    """The confirmed transaction that spends the funding output: an outcome or the expiry."""
    pin = lane.facts.get(Pinned, state.attempt)
    seen = None if pin is None else lane.world.spent.get(f"{pin.funding_txid}:{pin.funding_vout}")
    return None if seen is None else seen.txid


def another_outcome(lane: Lane, state: Settled) -> str | None:
    """The confirmed transaction that pays out an outcome which the oracle did not attest to us: it signed two. None
    while the funding output is spent as our books say, or not at all.
    """
    spender, attested = funding_spender(lane, state), lane.facts.get(Attested)
    if spender is None or attested is None:
        return None
    return spender if spender not in (attested.txid, _expiry_txid(lane, state)) else None


def outcome_txid(lane: Lane, state: Settled) -> str | None:
    """The outcome or expiry transaction that confirmed, or the one we sent."""
    if (spender := funding_spender(lane, state)) is not None:
        return spender
    sent = lane.facts.get(Sent, "expiry" if outcome_of(state) is None else "outcome")
    return sent.txid if sent is not None else None


def prizes(lane: Lane, state: Settled) -> tuple[Prize, ...]:
    """Every prize with its present state."""
    return tuple(_prize(lane, state, share) for share in shares(lane, state.roster, outcome_of(state)))


def _prize(lane: Lane, state: Settled, share: Share) -> Prize:
    payout = lane.facts.get(Payout, share.entry_id)
    if share.entry_id in state.written_off:
        return Prize(share, PrizeState.VOID)
    if payout is not None and payout.state is PrizeState.PAID:
        return Prize(share, PrizeState.PAID, payout)
    on_chain = _spent_share(lane, state, share)
    if on_chain is not None:
        return Prize(share, on_chain, payout)
    if payout is not None and payout.state in (PrizeState.PAYING, PrizeState.UNKNOWN):
        return Prize(share, payout.state, payout)
    if lightning_window(lane, state) > 0:
        return Prize(share, PrizeState.CLAIMABLE, payout)
    left = isinstance(state, DeltaBroadcasted) and uneconomic(lane, share.entry_id)
    return Prize(share, PrizeState.UNECONOMIC if left else PrizeState.ONCHAIN, payout)


def _spent_share(lane: Lane, state: Settled, share: Share) -> PrizeState | None:
    if not isinstance(state, DeltaBroadcasted):
        return None
    outpoint = f"{state.split_txid}:{share.vout}"
    if lane.world.spend_depth(outpoint) < lane.terms.contract.required_confirmations:
        return None
    spender = lane.world.spent[outpoint].txid
    swept = ours(lane, state, *(f"sweep:{how}:{share.entry_id}" for how in SWEEPS))
    return PrizeState.OWED if spender in swept else PrizeState.CLAIMED


def claim_height(lane: Lane, state: Settled) -> Height:
    """First height whose block may hold a winner's `win`: nothing is paid over Lightning within 13 blocks of it."""
    tip, delta = lane.world.tip, lane.terms.contract.delta
    if isinstance(state, DeltaBroadcasted) and (split := lane.world.confirmed.get(state.split_txid)) is not None:
        return Height(split + delta)
    txid = outcome_txid(lane, state)
    outcome = lane.world.confirmed.get(txid or "", Height(tip + 1))
    return Height(max(outcome + delta, tip + 1) + delta)


def lightning_window(lane: Lane, state: Settled) -> Blocks:
    """Blocks a payout's HTLCs may last now: they end 13 blocks before the claim height or earlier, from tip + 3."""
    return Blocks(claim_height(lane, state) - BLOCKS_BEFORE_CLAIM - (lane.world.tip + 3))


def closable(lane: Lane, state: Settled) -> bool:
    """True when every winner of the outcome was paid and gave its entry key: one transaction takes everything back.
    Where that would cost more than it brings, the output is split, and each share has its own end.
    """
    listed = prizes(lane, state)
    paid = all(prize.state is PrizeState.PAID for prize in listed)
    keys = all(lane.facts.get(EntryKeyHeld, prize.share.entry_id) is not None for prize in listed)
    return paid and keys and not _closed_another(lane, state) and not _is_dust(lane, "close")


def _closed_another(lane: Lane, state: Settled) -> bool:
    """True when the close that we signed spends an outcome that did not confirm: the expiry took its place. It is never
    valid any more and none is signed again: the output is split.
    """
    built = lane.facts.get(Built, f"close/{state.attempt}")
    return built is not None and built.spends != f"{outcome_txid(lane, state)}:0"


def split_due(lane: Lane, state: OutcomeBroadcasted | ExpiryBroadcasted) -> bool:
    """True from the block before the split may confirm, unless the output is being closed."""
    txid = outcome_txid(lane, state)
    confirmed = lane.world.confirmed.get(txid) if txid is not None else None
    closing = lane.facts.get(Sent, "close") is not None and not _closed_another(lane, state)
    if confirmed is None or _all_void(lane, state) or closing:
        return False
    return lane.world.tip + 1 >= confirmed + lane.terms.contract.delta


def reclaim_due(lane: Lane, state: OutcomeBroadcasted | ExpiryBroadcasted) -> bool:
    """True when every winner's ticket is written off and the outcome output can be reclaimed: no split is ever spent
    through a written-off ticket, it would reveal the preimage."""
    txid = outcome_txid(lane, state)
    confirmed = lane.world.confirmed.get(txid) if txid is not None else None
    return (
        _all_void(lane, state)
        and confirmed is not None
        and lane.world.tip + 1 >= confirmed + 2 * lane.terms.contract.delta
    )


def spendable_from(lane: Lane, state: OutcomeBroadcasted | ExpiryBroadcasted, confirmed: Height) -> Height:
    """First height whose block may hold our spend of an outcome that confirmed at a height."""
    waits = 2 if _all_void(lane, state) else 1
    return Height(confirmed + waits * lane.terms.contract.delta)


def _all_void(lane: Lane, state: Settled) -> bool:
    return all(prize.state is PrizeState.VOID for prize in prizes(lane, state))


def share_sweep(lane: Lane, state: DeltaBroadcasted, prize: Prize) -> str | None:
    """How our side takes a share back now: "close" with the entry key, "sellback" with the payout preimage, "reclaim"
    when nobody claimed it; None while it is not ours to take."""
    entry_id = prize.share.entry_id
    split = lane.world.confirmed.get(state.split_txid)
    if split is None or f"{state.split_txid}:{prize.share.vout}" in lane.world.spent:
        return None
    if prize.state is PrizeState.PAID:
        if lane.facts.get(EntryKeyHeld, entry_id) is not None:
            return "close"
        return "sellback" if lane.facts.get(PreimageHeld, entry_id) is not None else None
    if prize.state in (PrizeState.PAYING, PrizeState.UNKNOWN):
        return None
    return "reclaim" if lane.world.tip + 1 >= split + 2 * lane.terms.contract.delta else None


def paying_out(state: OutcomeBroadcasted | ExpiryBroadcasted, lane: Lane) -> Step[Competition] | None:
    """The next step while the outcome output stands: followed, split, or closed."""
    if (followed := _follow_confirmed(state, lane)) is not None:
        return followed
    if outcome_unknown(state, lane):
        return None
    txid = outcome_txid(lane, state)
    needed = lane.terms.contract.required_confirmations
    if txid is None:
        return None
    spender = lane.world.spent.get(f"{txid}:0")
    split = lane.facts.get(Sent, "split")
    if spender is None and _is_dust(lane, "reclaim") and reclaim_due(lane, state):
        return state.closed()
    if spender is not None and spender.txid in ours(lane, state, "close", "reclaim"):
        return state.closed() if lane.world.spend_depth(f"{txid}:0") >= needed else None
    if spender is not None:
        return state.split(spender.txid)
    return state.split(split.txid) if split is not None else None


def ours(lane: Lane, state: Settled, *roles: str) -> frozenset[str]:
    """Every txid under which we signed a transaction of these roles: a fee bump may have signed it again."""
    keys = {f"{role}/{state.attempt}" for role in roles}
    built = (lane.facts.get(Built, key) for key in keys)
    again = (fact for fact in lane.facts.all(Bumped) if fact.bump is BumpKind.REPLACEMENT)
    replaced = {fact.txid for fact in again if f"{fact.role}/{fact.attempt}" in keys}
    return frozenset(fact.txid for fact in built if fact is not None) | replaced


def _follow_confirmed(state: OutcomeBroadcasted | ExpiryBroadcasted, lane: Lane) -> Step[Competition] | None:
    """The ledger follows what confirmed: after expiry any player may send the expiry, or the outcome if it has it."""
    spender, expiry = funding_spender(lane, state), _expiry_txid(lane, state)
    if spender is None or expiry is None:
        return None
    if isinstance(state, OutcomeBroadcasted):
        return state.expiry_confirmed() if spender == expiry else None
    attested = lane.facts.get(Attested)
    return state.outcome_confirmed(attested.outcome) if spender != expiry and attested is not None else None


def _expiry_txid(lane: Lane, state: Settled) -> str | None:
    signed = lane.facts.get(ContractSigned, state.attempt)
    return None if signed is None else signed.expiry_txid


def outcome_unknown(state: Settled, lane: Lane) -> bool:
    """True when an outcome transaction confirmed although we hold no attestation: the oracle has to be asked again."""
    spender = funding_spender(lane, state)
    confirmed = isinstance(state, ExpiryBroadcasted) and spender is not None and spender != _expiry_txid(lane, state)
    return confirmed and lane.facts.get(Attested) is None


def decided(lane: Lane, state: Settled) -> bool:
    """True when no other transaction can take the place of the one that decides the prizes: it is confirmed, or it is
    an outcome of a confirmed funding that has 36 blocks to confirm before the expiry becomes valid."""
    pin = lane.facts.get(Pinned, state.attempt)
    if pin is None or outcome_unknown(state, lane) or another_outcome(lane, state) is not None:
        return False
    needed = lane.terms.contract.required_confirmations
    if lane.world.spend_depth(f"{pin.funding_txid}:{pin.funding_vout}") >= needed:
        return True
    funded = lane.world.confirmations(pin.funding_txid) >= needed
    in_time = lane.world.median_time_past <= lane.terms.contract.expiry - SECONDS_BEFORE_EXPIRY
    return outcome_of(state) is not None and funded and in_time


def uneconomic(lane: Lane, entry_id: str) -> bool:
    """True when taking a share back would cost more than it holds: recorded once, never tried again."""
    return any(_is_dust(lane, f"sweep:{how}:{entry_id}") for how in SWEEPS)


def _is_dust(lane: Lane, role: str) -> bool:
    return lane.facts.get(NeedsOperator, f"dust/{role}") is not None


def outputs_settled(state: DeltaBroadcasted, lane: Lane) -> bool:
    """True when each prize is final and each output of the split is spent with required_confirmations."""
    needed = lane.terms.contract.required_confirmations
    if lane.world.confirmations(state.split_txid) < needed:
        return False
    return all(
        prize.state in FINAL
        and (
            lane.world.spend_depth(f"{state.split_txid}:{prize.share.vout}") >= needed
            or uneconomic(lane, prize.share.entry_id)
        )
        for prize in prizes(lane, state)
    )
