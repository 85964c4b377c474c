"""Duties carried out in the small world, by the rules of the executors: ask first, act once, tell what was seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import closing as c
from coordinator.domain.competitions import debts
from coordinator.domain.facts import HoldState
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.small_world import chain_effects, lightning_effects
from tests.support.small_world.outside import Keymeld, Service, World
from tests.support.small_world.tasks import AGAIN, DONE, Result, Task, told


def perform(world: World, task: Task) -> Result:
    """One attempt. Raises Away."""
    return EFFECTS[type(task.duty)](world, task)


def _publish(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    return told(f.Published(terms="{}", terms_hash="h"))


def _plan(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    return told(f.PlanningChecked()) if world.plans else AGAIN


def _event(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    return told(b.oracle_event(task.duty.attempt, task.duty.entries))


def _entries(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    opened = {seal.entry_id for seal in task.lane.facts.of_attempt(f.Seal, task.duty.attempt)}
    assert opened >= set(task.duty.roster), "entries without opened picks"
    return told(b.posted(task.duty.attempt))


def _attestation(world: World, task: Task) -> Result:
    world.need(Service.ORACLE)
    if world.attested is None:
        return AGAIN
    return told(b.attested(world.attested, chain_effects.outcome_tx(task.duty.attempt, world.attested).txid))


def _open_session(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty = task.duty
    return told(b.session(duty.attempt, world.wall, duty.roster))


def _register(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty = task.duty
    if world.keymeld is Keymeld.LOST:
        return told(f.AttemptFault(attempt=duty.attempt, reason="state was lost"))
    refusal = "no such key" if duty.entry_id in world.bad_keys else None
    return told(b.registered(duty.entry_id, duty.attempt, refusal))


def _roster(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    if world.keymeld in (Keymeld.LOST, Keymeld.WRONG):
        return told(f.AttemptFault(attempt=task.duty.attempt, reason=world.keymeld.value))
    return AGAIN if world.keymeld is Keymeld.HUNG else told(b.keygen(task.duty.attempt))


def _open_batches(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    if world.keymeld is Keymeld.LOST:
        return told(f.AttemptFault(attempt=task.duty.attempt, reason="the session is gone"))
    return told(b.batches(task.duty.attempt, opened_at=world.wall))


def _open_spare(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty, lane = task.duty, task.lane
    opened = lane.facts.get(f.BatchesOpen, duty.attempt)
    used = len(lane.facts.of_attempt(f.SpareOpen, duty.attempt))
    if opened is None or used >= c.spares_allowed(len(opened.batches)) or world.keymeld is Keymeld.LOST:
        return told(f.AttemptFault(attempt=duty.attempt, reason="no spare signing session is left"))
    return told(b.spare(duty.index, duty.replaces, world.wall, duty.attempt, f"spare-{used}"))


def _forward(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty = task.duty
    if world.keymeld is Keymeld.LOST:
        return told(f.BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason="gone"))
    if world.wall - duty.timestamp > 120:
        spent = f.ApprovalSpent(
            attempt=duty.attempt,
            entry_id=duty.entry_id,
            session_id=duty.session_id,
            timestamp=UnixTime(duty.timestamp),
        )
        return told(spent)
    return told(f.Forwarded(attempt=duty.attempt, entry_id=duty.entry_id, session_id=duty.session_id))


def _collect(world: World, task: Task) -> Result:
    world.need(Service.KEYMELD)
    duty, lane = task.duty, task.lane
    passed = {(x.session_id, x.entry_id) for x in lane.facts.of_attempt(f.Forwarded, duty.attempt)}
    begun = world.secrets.setdefault(f"begun/{duty.session_id}", str(world.wall))
    late = world.wall - int(begun) >= lane.terms.schedule.closing.signatures
    complete = all((duty.session_id, e) in passed for e in duty.roster)
    if world.keymeld in (Keymeld.WRONG, Keymeld.LOST) and complete:
        return told(f.BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason=world.keymeld.value))
    if complete and world.keymeld is Keymeld.GOOD:
        signed = f.BatchSigned(attempt=duty.attempt, session_id=duty.session_id, index=duty.index, blob="", status="")
        return told(signed)
    if late:
        return told(f.BatchHung(attempt=duty.attempt, session_id=duty.session_id, reason="did not end in time"))
    return AGAIN


def _debt(world: World, task: Task) -> Result:
    invoice = task.lane.facts.get(f.Invoice, task.duty.payment_hash)
    if invoice is None or invoice.state is not HoldState.SETTLED:
        return DONE
    amount = debts.still_due(task.lane, invoice)
    return told(b.owed(invoice.entry_id, payment_hash=invoice.payment_hash, amount=amount))


def _absence(world: World, task: Task) -> Result:
    return told(f.Missed(player=task.duty.player, attempt=task.duty.attempt, at=UnixTime(task.duty.at)))


def _notify(world: World, task: Task) -> Result:
    before = task.lane.facts.get(f.Notified, task.duty.key)
    number = 1 if before is None else before.number + 1
    fact = f.Notified(
        entry_id=task.duty.entry_id,
        topic=task.duty.topic,
        delivered=True,
        at=UnixTime(world.wall),
        number=number,
        times=number,
    )
    return told(fact)


EFFECTS: Mapping[type[d.Duty], Callable[[World, Task], Result]] = {
    d.PublishTerms: _publish,
    d.CheckPlanning: _plan,
    d.CreateEvent: _event,
    d.SubmitEntries: _entries,
    d.PollAttestation: _attestation,
    d.CreateInvoice: lightning_effects.create_invoice,
    d.WatchInvoice: lightning_effects.watch_invoice,
    d.ReadHolds: lightning_effects.read_holds,
    d.DecideHolds: lightning_effects.decide_holds,
    d.SettleInvoice: lightning_effects.settle,
    d.CancelInvoice: lightning_effects.cancel,
    d.PayPrize: lightning_effects.pay,
    d.OpenSession: _open_session,
    d.RegisterPlayer: _register,
    d.AwaitRoster: _roster,
    d.OpenBatches: _open_batches,
    d.OpenSpare: _open_spare,
    d.ForwardApproval: _forward,
    d.CollectSignatures: _collect,
    d.PinContract: chain_effects.pin_contract,
    d.AssembleContract: chain_effects.assemble,
    d.ReleaseCoins: chain_effects.release_coins,
    d.Broadcast: chain_effects.broadcast,
    d.Bump: chain_effects.bump,
    d.ReleaseFeeCoins: chain_effects.release_fee_coins,
    d.RecordDebt: _debt,
    d.RecordAbsence: _absence,
    d.NotifyPlayer: _notify,
}
