"""Duties at Lightning: tickets and prizes, by the rules of their executors."""

from __future__ import annotations

from typing import Any

from coordinator.domain import facts as f
from coordinator.domain.competitions import settling
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import Fact, HoldState, PrizeState
from coordinator.domain.lane import Lane
from coordinator.domain.protection import has_left
from coordinator.domain.seats import blocks_left, blocks_needed
from coordinator_core.competition.holds import hold_cltv_expiry
from coordinator_core.errors import CoreError
from coordinator_core.units import Height, Sats, UnixTime
from tests.support.small_world.lightning import Hold, Payment, Sent
from tests.support.small_world.outside import Service, World
from tests.support.small_world.tasks import AGAIN, DONE, Result, Task, told


def _seen(hold: Hold, entry_id: str, payment_hash: str, before: f.Invoice | None, wall: int) -> f.Invoice:
    accepted = before.accepted_at if before is not None else None
    return f.Invoice(
        entry_id=entry_id,
        generation=before.generation if before is not None else 1,
        payment_hash=payment_hash,
        payment_request="lnbcrt1",
        value=Sats(hold.value),
        state=hold.state,
        expires_at=UnixTime(hold.expires_at),
        accepted_at=accepted or (UnixTime(wall) if hold.state is HoldState.ACCEPTED else None),
        expiry_height=Height(hold.expiry_height) if hold.expiry_height is not None else None,
    )


def create_invoice(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    duty, ticket = task.duty, task.lane.facts.get(f.Ticket, task.duty.entry_id)
    if ticket is None or ticket.ticket_hash != duty.payment_hash:
        return DONE
    known = world.lightning.holds.get(duty.payment_hash)
    if known is None:
        try:
            cltv = hold_cltv_expiry(task.lane.terms, task.lane.world.tip, task.lane.world.cancel_delta)
        except CoreError:
            return AGAIN
        known = world.lightning.holds[duty.payment_hash] = Hold(ticket.price, world.wall + 600, cltv)
    return told(_seen(known, duty.entry_id, duty.payment_hash, None, world.wall))


def watch_invoice(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    before = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if before is None:
        return DONE
    fact = _seen(world.lightning.holds[before.payment_hash], before.entry_id, before.payment_hash, before, world.wall)
    return Result(fact.state in (HoldState.SETTLED, HoldState.CANCELED), [fact] if fact != before else [])


def read_holds(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    lane, facts, left = task.lane, list[Fact](), dict[str, int]()
    ahead = max(0, world.chain.tip - lane.world.tip)
    for entry_id in task.duty.roster:
        ticket = lane.facts.get(f.Ticket, entry_id)
        before = None if ticket is None else lane.invoice_of(ticket)
        assert before is not None
        fact = _seen(world.lightning.holds[before.payment_hash], entry_id, before.payment_hash, before, world.wall)
        facts.append(fact)
        left[entry_id] = blocks_left(lane, fact) - ahead
    lost = tuple(e for e, blocks in left.items() if blocks < blocks_needed(lane))
    read = f.HoldsRead(
        attempt=task.duty.attempt, at_height=lane.world.tip, least_left=min(left.values(), default=0), lost=lost
    )
    return Result(True, [*facts, read])


def decide_holds(world: World, task: Task) -> Result:
    world.need(Service.CHAIN)
    raw = world.raw.get(f"funding/{task.duty.attempt}")
    again = raw is not None and has_left(task.lane) and world.chain.announce(raw)
    settle = world.chain.knows(task.duty.funding_txid) or again
    return told(f.HoldsDecided(attempt=task.duty.attempt, settle=settle, at_height=task.lane.world.tip))


def may_settle(state: s.Competition, lane: Lane) -> bool:
    """The rule of the executor: confirmed, or the one exception was decided."""
    funding = getattr(state, "funding_txid", None)
    if funding is None:
        return False
    confirmed = lane.world.confirmations(funding) >= lane.terms.contract.required_confirmations
    return confirmed or any(fact.settle for fact in lane.facts.all(f.HoldsDecided))


def settle(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    before = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if before is None or getattr(task.state, "funding_txid", None) is None:
        return DONE
    if not may_settle(*task.now()):
        return AGAIN
    hold = world.lightning.settle(task.duty.payment_hash)
    if hold.state is HoldState.OPEN:
        return AGAIN
    return told(_seen(hold, task.duty.entry_id, task.duty.payment_hash, before, world.wall))


def cancel(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    before = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if before is None:
        return DONE
    hold = world.lightning.cancel(task.duty.payment_hash)
    return told(_seen(hold, before.entry_id, before.payment_hash, before, world.wall))


def pay(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    payout = task.lane.facts.get(f.Payout, task.duty.entry_id)
    if payout is None or payout.payment_hash != task.duty.payment_hash:
        return DONE
    if payout.next_try > world.wall:
        return AGAIN
    known = world.lightning.payments.get(payout.payment_hash)
    if known is None or known.state is Sent.FAILED:
        if task.stopped:
            return AGAIN
        if isinstance(task.state, SETTLED) and not settling.decided(task.lane, task.state):
            return AGAIN
        _send(world, task, payout)
        known = world.lightning.payments.get(payout.payment_hash)
    return _judge(world, task, payout, known)


SETTLED = s.OutcomeBroadcasted | s.ExpiryBroadcasted | s.DeltaBroadcasted


def _share(task: Task, payout: f.Payout) -> settling.Share | None:
    state = task.state
    if not isinstance(state, SETTLED) or payout.entry_id in state.written_off:
        return None
    listed = settling.shares(task.lane, state.roster, settling.outcome_of(state))
    return next((x for x in listed if x.entry_id == payout.entry_id and x.net == payout.amount), None)


def _send(world: World, task: Task, payout: f.Payout) -> None:
    if _share(task, payout) is None or world.wall >= payout.expires_at:
        return
    window = settling.lightning_window(task.lane, task.state)
    if window > 0:
        until = task.lane.world.tip + 3 + window
        world.lightning.pay(payout.payment_hash, payout.entry_id, payout.amount, until)


def _judge(world: World, task: Task, payout: f.Payout, known: Payment | None) -> Result:
    if known is not None and known.state is Sent.SUCCEEDED:
        held = [f.PreimageHeld(entry_id=payout.entry_id)] if payout.atomic else []
        return told(*held, _payout(payout, state=PrizeState.PAID))
    if known is not None and known.state is Sent.IN_FLIGHT:
        return AGAIN
    rejected = known is not None and known.state is Sent.REJECTED
    settled = isinstance(task.state, SETTLED)
    closed = not settled or settling.lightning_window(task.lane, task.state) <= 0
    if rejected or closed or world.wall >= payout.expires_at or _share(task, payout) is None:
        return told(_payout(payout, state=PrizeState.CLAIMABLE, failure="failed"))
    pause = min(600, 30 * 2 ** min(payout.tries, 10))
    return Result(False, [_payout(payout, tries=payout.tries + 1, next_try=UnixTime(world.wall + pause))])


def _payout(payout: f.Payout, **changes: Any) -> f.Payout:
    return f.Payout(**{**{name: getattr(payout, name) for name in payout.__struct_fields__}, **changes})
