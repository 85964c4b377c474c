"""Prizes paid over Lightning (money section 6)."""

from __future__ import annotations

from typing import TypeGuard

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.states import (
    Competition,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.duties import PayPrize
from coordinator.domain.facts import Fact, Payout, PreimageHeld, PrizeState
from coordinator.domain.lane import Lane
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.secret_names import payout_secret
from coordinator.engine.executors.services import Services
from coordinator.ports.faults import Rejected
from coordinator.ports.lightning import FailureKind, Payment, PaymentState
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds, UnixTime

WATCH_SECONDS = 0.5
SLOW_POLL_SECONDS = 5.0
PROMPT_LOOKS = 20
"""So often a payment is looked at every half second, then slowly."""
PAYMENT_SECONDS = Seconds(20)
FIRST_RETRY, LAST_RETRY = 30, 600
NOT_SENT = "not sent"


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
        # Further off than any pause is set: the wall clock went back since, and the payment waits no longer.
        if 0 < (pause := payout.next_try - self._s.clock.wall()) <= LAST_RETRY:
            return Again(float(pause))
        known = await self._known(payout)
        if known.state in (PaymentState.NEVER_SENT, PaymentState.FAILED) and not _is_final(known):
            if task.held is not None and not self._is_over(task, payout):
                return Again(SLOW_POLL_SECONDS, reason=task.held, held=True)
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
                timeout=PAYMENT_SECONDS,
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
        reason = known.failure.value if known.failure is not None else NOT_SENT
        if _is_final(known) or self._is_over(task, payout):
            return Done([_payout(payout, state=PrizeState.CLAIMABLE, failure=reason)])
        pause = min(LAST_RETRY, FIRST_RETRY * 2 ** min(payout.tries, 10))
        next_try = UnixTime(self._s.clock.wall() + pause)
        return Again(float(pause), [_payout(payout, tries=payout.tries + 1, failure=reason, next_try=next_try)])

    def _is_over(self, task: Task[PayPrize], payout: Payout) -> bool:
        """True when it cannot be sent any more, whatever holds it back: a sweep need not wait for it."""
        state, lane = task.state, task.lane
        closed = not _settled(state) or settling.lightning_window(lane, state) <= 0
        return closed or self._s.clock.wall() >= payout.expires_at or _share(lane, state, payout) is None


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
