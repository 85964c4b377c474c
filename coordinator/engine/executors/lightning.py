"""Hold invoices: made, watched, read again, settled and canceled (money section 3)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from coordinator.domain.competitions.states import (
    Competition,
)
from coordinator.domain.duties import (
    CancelInvoice,
    CreateInvoice,
    DecideHolds,
    ReadHolds,
    SettleInvoice,
    WatchInvoice,
)
from coordinator.domain.facts import (
    Fact,
    HoldsDecided,
    HoldsRead,
    HoldState,
    Invoice,
    Ticket,
)
from coordinator.domain.lane import Lane
from coordinator.domain.protection import has_left
from coordinator.domain.seats import blocks_left, blocks_needed
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.contracts import funding_duty
from coordinator.engine.executors.secret_names import ticket_secret
from coordinator.engine.executors.services import Services
from coordinator.engine.new_money import NewMoney
from coordinator.ports.bitcoin import Place
from coordinator.ports.faults import Unreachable
from coordinator.ports.lightning import HoldInvoice
from coordinator_core.competition.holds import INVOICE_SECONDS, hold_cltv_expiry
from coordinator_core.errors import Misuse
from coordinator_core.units import Seconds, UnixTime

STREAM_SECONDS = 20.0
SLOW_POLL_SECONDS = 5.0
PAUSED_SECONDS = 2.0
UNCONFIRMED = "the funding is not confirmed"


def invoice_fact(found: HoldInvoice, entry_id: str, generation: int, before: Invoice | None, now: UnixTime) -> Invoice:
    """What Lightning says of an invoice as a fact; the first moment of acceptance stays."""
    state = HoldState(found.state.value)
    accepted = before.accepted_at if before is not None else None
    return Invoice(
        entry_id=entry_id,
        generation=generation,
        payment_hash=found.payment_hash,
        payment_request=found.payment_request,
        value=found.value,
        state=state,
        expires_at=found.expires_at,
        accepted_at=accepted or (now if state is HoldState.ACCEPTED else None),
        expiry_height=found.expiry_height,
    )


class CreateInvoiceExecutor:
    """Make the hold invoice of one generation; the hash is never used for another. It waits while new money pauses."""

    def __init__(self, services: Services, new_money: Callable[[], NewMoney]) -> None:
        self._s = services
        self._new_money = new_money

    async def __call__(self, task: Task[CreateInvoice]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        lane = task.lane
        ticket = lane.facts.get(Ticket, duty.entry_id)
        if ticket is None or ticket.ticket_hash != duty.payment_hash:
            return Done()
        made = await self._s.lightning.invoice(duty.payment_hash)
        if made is None:
            if pauses := self._new_money().pauses(lane.terms):
                reason = f"new money pauses: {pauses[0].dependency} {pauses[0].reason}"
                return Again(PAUSED_SECONDS, reason=reason, held=True)
            made = await self._s.lightning.add_hold_invoice(
                duty.payment_hash,
                ticket.price,
                description_hash=lane.terms.hash,
                expiry=Seconds(INVOICE_SECONDS),
                cltv_expiry=hold_cltv_expiry(lane.terms, lane.world.tip, lane.world.cancel_delta),
            )
        return Done([invoice_fact(made, duty.entry_id, duty.generation, None, self._s.clock.wall())])


class WatchInvoiceExecutor:
    """Wait for Lightning's own word on an invoice; the stream is a hint, the lookup after it is the truth."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[WatchInvoice]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        before = task.lane.facts.get(Invoice, duty.payment_hash)
        if before is None:
            return Done()
        streamed = await self._changed(before)
        found = await self._s.lightning.invoice(duty.payment_hash)
        if found is None:
            return Again(SLOW_POLL_SECONDS, reason="Lightning does not know the invoice")
        fact = invoice_fact(found, before.entry_id, before.generation, before, self._s.clock.wall())
        if fact.state in (HoldState.SETTLED, HoldState.CANCELED):
            return Done([fact])
        return Again(0.0 if streamed else SLOW_POLL_SECONDS, [fact] if fact != before else [])

    async def _changed(self, before: Invoice) -> bool:
        """Wait until the stream shows another state, a while at most; False when there is no stream to listen to."""
        updates = self._s.lightning.invoice_updates(before.payment_hash)
        try:
            async with asyncio.timeout(STREAM_SECONDS), aclosing(updates):
                async for state in updates:
                    if state.value != before.state.value:
                        return True
        except TimeoutError:
            return True
        except Unreachable:
            return False
        return False


class ReadHoldsExecutor:
    """Read every hold of the roster from Lightning, now: what the irrevocable step relies on."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[ReadHolds]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        lane = task.lane
        facts: list[Fact] = []
        left: dict[str, int] = {}
        # The higher of the two tips counts: Lightning cancels by its own.
        ahead = max(0, (await self._s.lightning.info()).block_height - lane.world.tip)
        for entry_id in duty.roster:
            fact = await self._read(lane, entry_id)
            facts.append(fact)
            left[entry_id] = blocks_left(lane, fact) - ahead
        needed = blocks_needed(lane)
        lost = tuple(entry_id for entry_id, blocks in left.items() if blocks < needed)
        read = HoldsRead(
            attempt=duty.attempt, at_height=lane.world.tip, least_left=min(left.values(), default=0), lost=lost
        )
        return Done([*facts, read])

    async def _read(self, lane: Lane, entry_id: str) -> Invoice:
        ticket = lane.facts.get(Ticket, entry_id)
        before = None if ticket is None else lane.invoice_of(ticket)
        if before is None:
            raise Misuse(f"entry {entry_id} has no invoice")
        found = await self._s.lightning.invoice(before.payment_hash)
        if found is None:
            raise Misuse(f"Lightning does not know the invoice of entry {entry_id}")
        return invoice_fact(found, entry_id, before.generation, before, self._s.clock.wall())


class DecideHoldsExecutor:
    """One decision for all tickets of an unconfirmed funding, written before anything is settled or canceled."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[DecideHolds]) -> Outcome:
        """See duty.Executor."""
        status = await self._s.chain.transaction_status(task.duty.funding_txid)
        settle = status.place is not Place.UNKNOWN or await self._announced(task)
        decided = HoldsDecided(attempt=task.duty.attempt, settle=settle, at_height=task.lane.world.tip)
        return Done([decided])

    async def _announced(self, task: Task[DecideHolds]) -> bool:
        """A node that was just started may have lost its mempool, and others have the funding all the same. One that
        never left is not sent here: that would be its first broadcast, past its deadline.
        """
        raw = await self._s.store.pinned(funding_duty(task.lane.id, task.duty.attempt), "raw")
        if raw is None or not has_left(task.lane):
            return False
        return (await self._s.chain.broadcast(raw)).in_node


class SettleInvoiceExecutor:
    """Release a ticket preimage. The state that wants this duty is reached only by a confirmed funding; checked again
    here, because this step cannot be taken back."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[SettleInvoice]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        before = task.lane.facts.get(Invoice, duty.payment_hash)
        if before is None or getattr(task.state, "funding_txid", None) is None:
            return Done()
        if not _may_settle(task.state, task.lane):
            return Again(1.0, reason=UNCONFIRMED)
        found = await self._s.lightning.invoice(duty.payment_hash)
        if found is None or found.state.value == HoldState.ACCEPTED.value:
            preimage = await self._s.secrets.get(task.lane.id, ticket_secret(duty.payment_hash))
            if preimage is None:
                raise Misuse(f"the preimage of ticket {duty.entry_id} is missing")
            # An LND that was away answers seconds later: long enough for the funding's block to leave the chain.
            if not _may_settle(*await task.now()):
                return Again(1.0, reason=UNCONFIRMED)
            found = await self._s.lightning.settle(preimage)
        if found.state.value == HoldState.OPEN.value:
            return Again(SLOW_POLL_SECONDS, reason="nothing is held on the invoice")
        return Done([invoice_fact(found, duty.entry_id, before.generation, before, self._s.clock.wall())])


def _may_settle(state: Competition, lane: Lane) -> bool:
    """The funding is confirmed, or the one exception to that was decided (money section 3)."""
    funding = getattr(state, "funding_txid", None)
    if funding is None:
        return False
    confirmed = lane.world.confirmations(funding) >= lane.terms.contract.required_confirmations
    return confirmed or any(fact.settle for fact in lane.facts.all(HoldsDecided))


class CancelInvoiceExecutor:
    """Give a held payment back."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[CancelInvoice]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        before = task.lane.facts.get(Invoice, duty.payment_hash)
        if before is None:
            return Done()
        found = await self._s.lightning.cancel(duty.payment_hash)
        return Done([invoice_fact(found, before.entry_id, before.generation, before, self._s.clock.wall())])
