"""Lightning: hold invoices made, watched, read again, settled and canceled; prizes paid (money sections 3 and 6)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeGuard

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.states import (
    Competition,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.duties import (
    CancelInvoice,
    CreateInvoice,
    DecideHolds,
    PayPrize,
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
    Payout,
    PreimageHeld,
    PrizeState,
    Ticket,
)
from coordinator.domain.lane import Lane
from coordinator.domain.seats import blocks_left, blocks_needed
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.services import Services
from coordinator.engine.new_money import NewMoney
from coordinator.ports.bitcoin import Place
from coordinator.ports.faults import Rejected, Unreachable
from coordinator.ports.lightning import FailureKind, HoldInvoice, Payment, PaymentState
from coordinator_core.competition.holds import INVOICE_SECONDS, hold_cltv_expiry
from coordinator_core.errors import Misuse
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds, UnixTime

WATCH_SECONDS = 0.5
STREAM_SECONDS = 20.0
SLOW_POLL_SECONDS = 5.0
PROMPT_LOOKS = 20
"""So often a payment is looked at every half second, then slowly."""
PAUSED_SECONDS = 2.0
PAYMENT_SECONDS = Seconds(60)
FIRST_RETRY, LAST_RETRY = 30, 600
NOT_SENT = "not sent"
UNCONFIRMED = "the funding is not confirmed"


def ticket_secret(payment_hash: str) -> str:
    """Name of a ticket preimage in the secret store."""
    return f"ticket/{payment_hash}"


def payout_secret(entry_id: str) -> str:
    """Name of a payout preimage in the secret store."""
    return f"payout/{entry_id}"


def entry_key_secret(entry_id: str) -> str:
    """Name of an entry key that a paid winner gave."""
    return f"entry-key/{entry_id}"


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
                return Again(PAUSED_SECONDS, reason=f"new money pauses: {pauses[0].dependency} {pauses[0].reason}")
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
        try:
            async with asyncio.timeout(STREAM_SECONDS):
                async for state in self._s.lightning.invoice_updates(before.payment_hash):
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
        settle = status.place is not Place.UNKNOWN
        decided = HoldsDecided(attempt=task.duty.attempt, settle=settle, at_height=task.lane.world.tip)
        return Done([decided])


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


class PayPrizeExecutor:
    """Pay a winner. The payout row is committed; the payment hash belongs to this prize for ever.

    Before any send the node is asked what it knows of the hash. Unknown never leads to a payment; in flight is waited
    for; failed for a passing reason sends the same invoice again, until its expiry or the end of the window.
    """

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[PayPrize]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        payout = task.lane.facts.get(Payout, duty.entry_id)
        if payout is None or payout.payment_hash != duty.payment_hash:
            return Done()
        if (pause := payout.next_try - self._s.clock.wall()) > 0:
            return Again(float(pause))
        known = await self._known(payout)
        if known.state in (PaymentState.NEVER_SENT, PaymentState.FAILED) and not _is_final(known):
            if task.held is not None:
                return Again(SLOW_POLL_SECONDS, reason=task.held)
            if _settled(task.state) and not settling.decided(task.lane, task.state):
                return Again(_pause(task))
            known = await self._send(task, payout) or known
        return await self._judge(task, payout, known)

    async def _known(self, payout: Payout) -> Payment:
        """What the node knows. "Never sent" counts only while its list still holds the last payment that we know it
        made, for whatever competition: a node that lost its history must not pay twice.
        """
        known = await self._s.lightning.payment(payout.payment_hash)
        if known.state is not PaymentState.NEVER_SENT:
            return known
        last = await self._s.store.last_payment()
        tried = payout.failure is not None and payout.failure != NOT_SENT
        if tried or (last is not None and not await self._s.lightning.history_reaches(last)):
            return Payment(payout.payment_hash, PaymentState.UNKNOWN)
        return known

    async def _send(self, task: Task[PayPrize], payout: Payout) -> Payment | None:
        """One try; None when the Lightning window or the invoice is over, and nothing was sent."""
        state, lane = task.state, task.lane
        share = _share(lane, state, payout)
        if not _settled(state) or share is None or self._s.clock.wall() >= payout.expires_at:
            return None
        window = settling.lightning_window(lane, state)
        if window <= 0:
            return None
        try:
            return await self._s.lightning.pay(
                payout.payment_request,
                fee_limit=_fee_limit(share),
                timeout=min(PAYMENT_SECONDS, Seconds(20)),
                cltv_limit=Blocks(window),
            )
        except Rejected:
            # In flight or paid already: what it is decides, not the text of the refusal.
            return await self._s.lightning.payment(payout.payment_hash)

    async def _judge(self, task: Task[PayPrize], payout: Payout, known: Payment) -> Outcome:
        match known.state:
            case PaymentState.SUCCEEDED:
                return Done(await self._paid(task.lane, payout, known))
            case PaymentState.IN_FLIGHT | PaymentState.UNKNOWN:
                return _open(task, payout, known.state is PaymentState.IN_FLIGHT)
            case PaymentState.NEVER_SENT | PaymentState.FAILED:
                return self._failed(task, payout, known)

    async def _paid(self, lane: Lane, payout: Payout, known: Payment) -> list[Fact]:
        facts: list[Fact] = []
        if payout.atomic and known.preimage is not None:
            await self._s.secrets.put(lane.id, payout_secret(payout.entry_id), Secret(bytes.fromhex(known.preimage)))
            facts.append(PreimageHeld(entry_id=payout.entry_id))
        return [*facts, _payout(payout, state=PrizeState.PAID, routing_fee=known.fee)]

    def _failed(self, task: Task[PayPrize], payout: Payout, known: Payment) -> Outcome:
        now = self._s.clock.wall()
        state = task.state
        closed = not _settled(state) or settling.lightning_window(task.lane, state) <= 0
        reason = known.failure.value if known.failure is not None else NOT_SENT
        if _is_final(known) or closed or now >= payout.expires_at or _share(task.lane, state, payout) is None:
            return Done([_payout(payout, state=PrizeState.CLAIMABLE, failure=reason)])
        pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(payout.tries, 10))
        fact = _payout(payout, tries=payout.tries + 1, failure=reason, next_try=UnixTime(now + pause))
        return Again(float(pause), [fact])


def _open(task: Task[PayPrize], payout: Payout, in_flight: bool) -> Again:
    """Unknown counts as a failure: a node that never says what became of a payment needs a person."""
    fact = _payout(payout, state=PrizeState.PAYING if in_flight else PrizeState.UNKNOWN)
    reason = None if in_flight else "Lightning does not say what became of the payment"
    return Again(_pause(task), [fact] if fact != payout else [], reason)


def _pause(task: Task[PayPrize]) -> float:
    return WATCH_SECONDS if task.attempts <= PROMPT_LOOKS else SLOW_POLL_SECONDS


def _is_final(known: Payment) -> bool:
    return known.state is PaymentState.FAILED and known.failure is FailureKind.PAYEE_REJECTS


def _settled(state: Competition) -> TypeGuard[settling.Settled]:
    return isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted)


def _share(lane: Lane, state: Competition, payout: Payout) -> settling.Share | None:
    """What the entry wins now, if the payout is over exactly that: another transaction may have confirmed since."""
    if not _settled(state) or payout.entry_id in state.written_off:
        return None
    listed = settling.shares(lane, state.roster, settling.outcome_of(state))
    return next((s for s in listed if s.entry_id == payout.entry_id and s.net == payout.amount), None)


def _fee_limit(share: settling.Share) -> Sats:
    """The routing allowance of the prize; stakes given back are exact, their routing is the coordinator's."""
    allowance = share.gross - share.net
    return Sats(max(allowance, 10 + share.net // 100) if share.place is None else allowance)


def _payout(
    payout: Payout,
    *,
    state: PrizeState | None = None,
    tries: int | None = None,
    failure: str | None = None,
    next_try: UnixTime | None = None,
    routing_fee: Sats | None = None,
) -> Payout:
    return Payout(
        entry_id=payout.entry_id,
        payment_hash=payout.payment_hash,
        payment_request=payout.payment_request,
        amount=payout.amount,
        atomic=payout.atomic,
        state=payout.state if state is None else state,
        tries=payout.tries if tries is None else tries,
        expires_at=payout.expires_at,
        routing_fee=payout.routing_fee if routing_fee is None else routing_fee,
        failure=payout.failure if failure is None else failure,
        next_try=payout.next_try if next_try is None else next_try,
    )
