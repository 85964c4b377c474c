"""Fee bumps: one more is pinned when the last one does not reach what its urgency asks, or is refused for its fee.

Reconcile first: what is in the chain needs nothing, what the node holds is judged by what it pays, what the node lost
is sent again. A bump is pinned and written down before it leaves, so a killed process sends the same one again.
"""

from __future__ import annotations

import msgspec
import structlog

from coordinator.domain.competitions import bumping
from coordinator.domain.competitions.bumping import Urgency
from coordinator.domain.competitions.fee_bump import Bounds, Paid, fee_cap
from coordinator.domain.duties import Bump, ReleaseFeeCoins
from coordinator.domain.facts import BelowFloor, Built, Bumped, Fact, FeeCoinsReleased, NeedsOperator
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.bump_ways import Asked, Offer, SignedBump, Way, bump_purpose, pinned_bump, way_of
from coordinator.engine.executors.chain import PAYS_TOO_LITTLE
from coordinator.engine.executors.services import Services
from coordinator.ports.bitcoin import BroadcastResult, BroadcastVerdict, Coin, Place
from coordinator_core.dlc.relay import least_fee_rate
from coordinator_core.errors import Misuse
from coordinator_core.transaction import Transaction
from coordinator_core.units import FeeRate, Sats

LOOK_SECONDS = 5.0
RETRY_SECONDS = 2.0
TAKEN = BroadcastResult(BroadcastVerdict.ALREADY_KNOWN)

log = structlog.get_logger()


class BumpExecutor:
    """It is never done by itself: what it bumps is in the chain one day, and then it is wanted no more."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[Bump]) -> Outcome:
        """See duty.Executor."""
        wanted, lane = task.duty.broadcast, task.lane
        urgency = bumping.urgency(task.state, lane, wanted)
        raw = await self._s.store.pinned(wanted.id(lane.id), "raw")
        if urgency is None or raw is None:
            return Done()
        if await self._place(raw) is Place.CHAIN:
            return Again(LOOK_SECONDS)
        way = await way_of(self._s, task.state, lane, wanted, raw)
        last = await self._last(task) or way.original
        answer = await self._present(way, last)
        wrong = not answer.in_node and answer.verdict not in PAYS_TOO_LITTLE
        if wrong and not await way.drop_spent_coins(self._ours(task)):
            return Again(RETRY_SECONDS, reason=f"{answer.verdict.value}: {answer.reason}")
        asked = await self._asked(way, last, urgency)
        if answer.in_node and not await self._is_refused(task, raw, last) and _paid(way, last).reaches(asked.target):
            return Again(LOOK_SECONDS)
        return await self._next(task, way, await way.offer(asked), answer)

    async def _place(self, raw: bytes) -> Place:
        return (await self._s.chain.transaction_status(_txid(raw))).place

    async def _is_refused(self, task: Task[Bump], raw: bytes, last: SignedBump | None) -> bool:
        """True when nothing was bumped yet and the node does not take the transaction, whatever it pays."""
        wanted = task.duty.broadcast
        refused = task.lane.facts.get(BelowFloor, f"{wanted.role}/{wanted.attempt}") is not None
        return last is None and refused and await self._place(raw) is Place.UNKNOWN

    async def _last(self, task: Task[Bump]) -> SignedBump | None:
        wanted = task.duty.broadcast
        newest = bumping.newest(task.lane, wanted.role, wanted.attempt)
        if newest is None:
            return None
        signed = await pinned_bump(self._s, task.id, newest.number)
        if signed is None:
            raise Misuse(f"the bump {newest.txid} is not pinned")
        return signed

    def _ours(self, task: Task[Bump]) -> frozenset[str]:
        return frozenset(fact.txid for fact in task.lane.facts.all(Bumped))

    async def _present(self, way: Way, last: SignedBump | None) -> BroadcastResult:
        """Whether the node holds the last bump, after it was sent again if it did not."""
        if last is None or await self._place(last.raw) is not Place.UNKNOWN:
            return TAKEN
        return await way.send(last.raw)

    async def _asked(self, way: Way, last: SignedBump | None, urgency: Urgency) -> Asked:
        """Without an estimate the target is a little above what the node takes at all."""
        chain = self._s.chain
        floor = await chain.relay_floor()
        target = max(await chain.fee_rate(urgency.value) or FeeRate(0), least_fee_rate(floor))
        cap = fee_cap(way.rescued, near_deadline=urgency is Urgency.NEXT_BLOCK)
        bounds = Bounds(floor, await chain.incremental_relay(), cap, cap)
        return Asked(None if last is None else last.paid, target, bounds)

    async def _next(self, task: Task[Bump], way: Way, offer: Offer, answer: BroadcastResult) -> Outcome:
        """Pin the next bump; it is sent when its fact is written. At the cap the last one stays."""
        known = self._trouble(task, offer)
        if offer.fee is None:
            reason = None if answer.in_node else f"{answer.verdict.value}: {answer.reason}"
            return Again(LOOK_SECONDS if answer.in_node else RETRY_SECONDS, known, reason=reason)
        wanted = task.duty.broadcast
        newest = bumping.newest(task.lane, wanted.role, wanted.attempt)
        number = 1 if newest is None else newest.number + 1
        signed = await self._signed(task, way, number, offer.fee, offer.coins)
        bumped = Bumped(
            attempt=wanted.attempt,
            role=wanted.role,
            number=number,
            bump=way.kind,
            txid=_txid(signed.raw),
            fee=signed.fee,
            spends=self._spends(task),
            coins=signed.coins,
        )
        log.info("fee bump", lane=task.lane.id, role=wanted.role, number=number, fee=signed.fee, kind=way.kind.value)
        return Again(0.0, [*known, bumped])

    async def _signed(self, task: Task[Bump], way: Way, number: int, fee: Sats, coins: tuple[Coin, ...]) -> SignedBump:
        async def make() -> bytes:
            return msgspec.json.encode(await way.make(fee, coins))

        return msgspec.json.decode(await self._s.pinned(task.id, str(number), make), type=SignedBump)

    def _spends(self, task: Task[Bump]) -> str:
        wanted = task.duty.broadcast
        built = task.lane.facts.get(Built, f"{wanted.role}/{wanted.attempt}")
        if built is None:
            raise Misuse(f"{wanted.role} is not built")
        return built.spends

    def _trouble(self, task: Task[Bump], offer: Offer) -> list[Fact]:
        if not offer.short:
            return []
        topic = bumping.trouble_topic(task.duty.broadcast.role, task.duty.broadcast.attempt)
        resume = "send coins to the coordinator's wallet; the bump goes on by itself"
        return [NeedsOperator(topic=topic, reason=offer.short, resume=resume)]


class ReleaseFeeCoinsExecutor:
    """Give the coins of the bumps of a role back."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[ReleaseFeeCoins]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        await self._s.wallet.release(task.lane.id, bump_purpose(duty.role, duty.attempt))
        return Done([FeeCoinsReleased(attempt=duty.attempt, role=duty.role)])


def _paid(way: Way, last: SignedBump | None) -> Paid:
    return way.parent if last is None else way.parent.with_child(last.paid)


def _txid(raw: bytes) -> str:
    return Transaction.parse(raw).txid[::-1].hex()
