"""Duties carried out in the small world, by the rules of the executors: ask first, act once, tell what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import bumping, settling
from coordinator.domain.competitions import closing as c
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import Fact, HoldState, PrizeState
from coordinator.domain.lane import Lane
from coordinator.domain.seats import blocks_left, blocks_needed
from coordinator_core.competition.holds import hold_cltv_expiry
from coordinator_core.errors import CoreError
from coordinator_core.units import Height, Sats, UnixTime
from tests.support import lanes as b
from tests.support.small_world.chain import Tx
from tests.support.small_world.lightning import CANCEL_DELTA, Hold, Payment, Sent
from tests.support.small_world.outside import Keymeld, Service, World

COIN_EXTRA = 2


@dataclass(frozen=True)
class Result:
    """`done`: the duty ends with these facts; else it is looked at again."""

    done: bool
    facts: list[Fact] = field(default_factory=list[Fact])


DONE, AGAIN = Result(True), Result(False)
Reread = Callable[[], tuple[s.Competition, Lane]]


@dataclass(frozen=True)
class Task:
    """A duty with the competition as it was when it was claimed; `now` reads it again."""

    duty: Any
    state: Any
    lane: Lane
    now: Reread
    stopped: bool = False


def perform(world: World, task: Task) -> Result:
    """One attempt. Raises Away."""
    return EFFECTS[type(task.duty)](world, task)


def _told(*facts: Fact) -> Result:
    return Result(True, list(facts))


# The oracle


def _publish(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    return _told(f.Published(terms="{}", terms_hash="h"))


def _plan(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    return _told(f.PlanningChecked()) if world.plans else AGAIN


def _event(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    return _told(b.oracle_event(task.duty.attempt, task.duty.entries))


def _entries(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    opened = {seal.entry_id for seal in task.lane.facts.of_attempt(f.Seal, task.duty.attempt)}
    assert opened >= set(task.duty.roster), "entries without opened picks"
    return _told(b.posted(task.duty.attempt))


def _attestation(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    return AGAIN if world.attested is None else _told(b.attested(world.attested))


# Lightning: tickets


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


def _create_invoice(world: World, task: Task) -> Result:
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
    return _told(_seen(known, duty.entry_id, duty.payment_hash, None, world.wall))


def _watch_invoice(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    before = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if before is None:
        return DONE
    fact = _seen(world.lightning.holds[before.payment_hash], before.entry_id, before.payment_hash, before, world.wall)
    return Result(fact.state in (HoldState.SETTLED, HoldState.CANCELED), [fact] if fact != before else [])


def _read_holds(world: World, task: Task) -> Result:
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


def _decide_holds(world: World, task: Task) -> Result:
    world.need(Service.CHAIN)
    settle = world.chain.knows(task.duty.funding_txid)
    return _told(f.HoldsDecided(attempt=task.duty.attempt, settle=settle, at_height=task.lane.world.tip))


def may_settle(state: s.Competition, lane: Lane) -> bool:
    """The rule of the executor: confirmed, or the one exception was decided."""
    funding = getattr(state, "funding_txid", None)
    if funding is None:
        return False
    confirmed = lane.world.confirmations(funding) >= lane.terms.contract.required_confirmations
    return confirmed or any(fact.settle for fact in lane.facts.all(f.HoldsDecided))


def _settle(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    before = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if before is None or getattr(task.state, "funding_txid", None) is None:
        return DONE
    if not may_settle(*task.now()):
        return AGAIN
    hold = world.lightning.settle(task.duty.payment_hash)
    if hold.state is HoldState.OPEN:
        return AGAIN
    return _told(_seen(hold, task.duty.entry_id, task.duty.payment_hash, before, world.wall))


def _cancel(world: World, task: Task) -> Result:
    world.need(Service.LIGHTNING)
    before = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if before is None:
        return DONE
    hold = world.lightning.cancel(task.duty.payment_hash)
    return _told(_seen(hold, before.entry_id, before.payment_hash, before, world.wall))


# Lightning: prizes


def _pay(world: World, task: Task) -> Result:
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
        return _told(*held, _payout(payout, state=PrizeState.PAID))
    if known is not None and known.state is Sent.IN_FLIGHT:
        return AGAIN
    rejected = known is not None and known.state is Sent.REJECTED
    settled = isinstance(task.state, SETTLED)
    closed = not settled or settling.lightning_window(task.lane, task.state) <= 0
    if rejected or closed or world.wall >= payout.expires_at or _share(task, payout) is None:
        return _told(_payout(payout, state=PrizeState.CLAIMABLE, failure="failed"))
    pause = min(600, 30 * 2 ** min(payout.tries, 10))
    return Result(False, [_payout(payout, tries=payout.tries + 1, next_try=UnixTime(world.wall + pause))])


def _payout(payout: f.Payout, **changes: Any) -> f.Payout:
    return f.Payout(**{**{name: getattr(payout, name) for name in payout.__struct_fields__}, **changes})


# keymeld


def _open_session(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty = task.duty
    return _told(b.session(duty.attempt, world.wall, duty.roster))


def _register(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty = task.duty
    if world.keymeld is Keymeld.LOST:
        return _told(f.AttemptFault(attempt=duty.attempt, reason="state was lost"))
    refusal = "no such key" if duty.entry_id in world.bad_keys else None
    return _told(b.registered(duty.entry_id, duty.attempt, refusal))


def _roster(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    if world.keymeld in (Keymeld.LOST, Keymeld.WRONG):
        return _told(f.AttemptFault(attempt=task.duty.attempt, reason=world.keymeld.value))
    return AGAIN if world.keymeld is Keymeld.HUNG else _told(b.keygen(task.duty.attempt))


def _open_batches(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    if world.keymeld is Keymeld.LOST:
        return _told(f.AttemptFault(attempt=task.duty.attempt, reason="the session is gone"))
    return _told(b.batches(task.duty.attempt, opened_at=world.wall))


def _open_spare(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty, lane = task.duty, task.lane
    opened = lane.facts.get(f.BatchesOpen, duty.attempt)
    used = len(lane.facts.of_attempt(f.SpareOpen, duty.attempt))
    if opened is None or used >= c.spares_allowed(len(opened.batches)) or world.keymeld is Keymeld.LOST:
        return _told(f.AttemptFault(attempt=duty.attempt, reason="no spare signing session is left"))
    return _told(b.spare(duty.index, duty.replaces, world.wall, duty.attempt, f"spare-{used}"))


def _forward(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty = task.duty
    if world.keymeld is Keymeld.LOST:
        return _told(f.BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason="gone"))
    if world.wall - duty.timestamp > 120:
        spent = f.ApprovalSpent(
            attempt=duty.attempt,
            entry_id=duty.entry_id,
            session_id=duty.session_id,
            timestamp=UnixTime(duty.timestamp),
        )
        return _told(spent)
    return _told(f.Forwarded(attempt=duty.attempt, entry_id=duty.entry_id, session_id=duty.session_id))


def _collect(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty, lane = task.duty, task.lane
    passed = {(x.session_id, x.entry_id) for x in lane.facts.of_attempt(f.Forwarded, duty.attempt)}
    begun = world.secrets.setdefault(f"begun/{duty.session_id}", str(world.wall))
    late = world.wall - int(begun) >= lane.terms.schedule.closing.signatures
    complete = all((duty.session_id, e) in passed for e in duty.roster)
    if world.keymeld in (Keymeld.WRONG, Keymeld.LOST) and complete:
        return _told(f.BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason=world.keymeld.value))
    if complete and world.keymeld is Keymeld.GOOD:
        signed = f.BatchSigned(attempt=duty.attempt, session_id=duty.session_id, index=duty.index, blob="", status="")
        return _told(signed)
    if late:
        return _told(f.BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason="did not end in time"))
    return AGAIN


# The contract


def funding_key(attempt: int) -> str:
    return f"funding/{attempt}"


def _pin(world: World, task: Task) -> Result:
    world.need(Service.CHAIN, Service.LIGHTNING)
    attempt = task.duty.attempt
    if not world.plans:
        return Result(False, [f.KickOffHeld(attempt=attempt, reason="no")])
    earlier = [pin.inputs for pin in task.lane.facts.all(f.Pinned) if funding_key(pin.attempt) in world.raw]
    inputs = (*(coins[0] for coins in earlier), f"coin-{attempt}:0")
    world.reserved.add(attempt)
    pin = f.Pinned(
        attempt=attempt,
        at_height=task.lane.world.tip,
        parameters="p",
        plan="q",
        funding_txid=f"funding-{attempt}",
        funding_vout=0,
        funding_value=Sats(50_000 * len(task.duty.roster)),
        fee_rate=500,
        inputs=inputs,
    )
    return _told(pin)


def _assemble(world: World, task: Task) -> Result:
    attempt = task.duty.attempt
    return _told(f.ContractSigned(attempt=attempt, blob=b.CONTRACT, expiry_txid=f"expiry-{attempt}"))


def _release_coins(world: World, task: Task) -> Result:
    if funding_key(task.duty.attempt) not in world.raw:
        world.reserved.discard(task.duty.attempt)
    return _told(f.CoinsReleased(attempt=task.duty.attempt))


# On chain


def transaction(task: Task, duty: d.Broadcast) -> Tx:
    """What the role's transaction is when it is signed first."""
    lane, role, attempt, delta = task.lane, duty.role, duty.attempt, task.lane.terms.contract.delta
    pin = lane.facts.get(f.Pinned, attempt)
    assert pin is not None
    if role == "funding":
        return Tx(pin.funding_txid, pin.inputs)
    if role.startswith("take-back/"):
        return Tx(f"take-back-{attempt}", pin.inputs[:1])
    if role == "outcome":
        return outcome_tx(attempt, duty.outcome or 0)
    if role == "expiry":
        return expiry_tx(attempt, lane.terms.contract.expiry)
    assert duty.parent is not None or role == "split"
    if role == "split":
        parent = duty.parent or settling.outcome_txid(lane, task.state)
        assert parent is not None
        return split_tx(parent, delta)
    waits = 2 * delta if "reclaim" in role else 0
    vout = 0
    if role.startswith("sweep:"):
        listed = settling.shares(lane, task.state.roster, duty.outcome)
        vout = next(share.vout for share in listed if share.entry_id == duty.entry_id)
    return Tx(f"{role}@{duty.parent}", (f"{duty.parent}:{vout}",), after=waits)


def outcome_tx(attempt: int, outcome: int) -> Tx:
    return Tx(f"outcome-{attempt}-{outcome}", (f"funding-{attempt}:0",))


def expiry_tx(attempt: int, expiry: int) -> Tx:
    return Tx(f"expiry-{attempt}", (f"funding-{attempt}:0",), past=expiry)


def split_tx(parent: str, delta: int) -> Tx:
    return Tx(f"split@{parent}", (f"{parent}:0",), after=delta)


def _raw_key(duty: d.Broadcast) -> str:
    return f"{duty.key}"


def _broadcast(world: World, task: Task) -> Result:
    duty: d.Broadcast = task.duty
    world.need(Service.CHAIN)
    raw = world.raw.setdefault(duty.key, transaction(task, duty))
    built = b.built(duty.role, raw.txid, duty.attempt, spends=raw.spends[0], at=task.lane.world.now)
    if task.lane.facts.get(f.Built, built.key) is None:
        return Result(False, [built])
    newest = bumping.newest(task.lane, duty.role, duty.attempt)
    if newest is not None and newest.bump is f.BumpKind.REPLACEMENT:
        raw = next(tx for tx in world.replaced[duty.key] if tx.txid == newest.txid)
    if world.chain.announce(raw):
        return Result(False, [f.Sent(role=duty.role, txid=raw.txid)])
    return AGAIN


def _bump(world: World, task: Task) -> Result:
    world.need(Service.CHAIN)
    duty: d.Broadcast = task.duty.broadcast
    raw = world.raw.get(duty.key)
    if raw is None or bumping.urgency(task.state, task.lane, duty) is None:
        return DONE
    if duty.role in ("funding", "outcome", "expiry", "split"):
        return AGAIN
    made = world.replaced.setdefault(duty.key, [])
    newest = bumping.newest(task.lane, duty.role, duty.attempt)
    if made and newest is not None:
        # Written down: it may leave. One is enough for what is shown here.
        world.chain.announce(made[-1], replaces=True)
        return AGAIN
    if not made:
        made.append(Tx(f"{raw.txid}+", raw.spends, raw.after))
    bumped = f.Bumped(
        attempt=duty.attempt,
        role=duty.role,
        number=1,
        bump=f.BumpKind.REPLACEMENT,
        txid=made[-1].txid,
        fee=Sats(100),
        spends=raw.spends[0],
        coins=("fee-coin:0",),
    )
    return Result(False, [bumped])


def _release_fee_coins(world: World, task: Task) -> Result:
    return _told(f.FeeCoinsReleased(attempt=task.duty.attempt, role=task.duty.role))


# Records


def _debt(world: World, task: Task) -> Result:
    invoice = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if invoice is None or invoice.state is not HoldState.SETTLED:
        return DONE
    return _told(b.owed(invoice.entry_id, payment_hash=invoice.payment_hash, amount=invoice.value))


def _absence(world: World, task: Task) -> Result:
    return _told(f.Missed(player=task.duty.player, attempt=task.duty.attempt, at=UnixTime(task.duty.at)))


def _notify(world: World, task: Task) -> Result:
    told = task.lane.facts.get(f.Notified, task.duty.key)
    times, at = 1 if told is None else told.times + 1, UnixTime(world.wall)
    return _told(f.Notified(entry_id=task.duty.entry_id, topic=task.duty.topic, delivered=True, at=at, times=times))


EFFECTS: Mapping[type[d.Duty], Callable[[World, Task], Result]] = {
    d.PublishTerms: _publish,
    d.CheckPlanning: _plan,
    d.CreateEvent: _event,
    d.SubmitEntries: _entries,
    d.PollAttestation: _attestation,
    d.CreateInvoice: _create_invoice,
    d.WatchInvoice: _watch_invoice,
    d.ReadHolds: _read_holds,
    d.DecideHolds: _decide_holds,
    d.SettleInvoice: _settle,
    d.CancelInvoice: _cancel,
    d.PayPrize: _pay,
    d.OpenSession: _open_session,
    d.RegisterPlayer: _register,
    d.AwaitRoster: _roster,
    d.OpenBatches: _open_batches,
    d.OpenSpare: _open_spare,
    d.ForwardApproval: _forward,
    d.CollectSignatures: _collect,
    d.PinContract: _pin,
    d.AssembleContract: _assemble,
    d.ReleaseCoins: _release_coins,
    d.Broadcast: _broadcast,
    d.Bump: _bump,
    d.ReleaseFeeCoins: _release_fee_coins,
    d.RecordDebt: _debt,
    d.RecordAbsence: _absence,
    d.NotifyPlayer: _notify,
}
CANCEL_DELTA_SEEN = CANCEL_DELTA
