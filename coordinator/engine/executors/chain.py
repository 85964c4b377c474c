"""On chain: a role's transaction is built once and pinned, sent, seen in the node, re-announced until confirmed."""

from __future__ import annotations

from coordinator.domain.competitions import bumping
from coordinator.domain.duties import Broadcast, Bump
from coordinator.domain.facts import BelowFloor, Built, BumpKind, Fact, NeedsOperator, Sent
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.bump_ways import pinned_bump
from coordinator.engine.executors.services import Services
from coordinator.engine.executors.transactions import RoleTransactions
from coordinator.ports.bitcoin import BroadcastResult, BroadcastVerdict, Place
from coordinator_core.dlc.claims import DustSweep
from coordinator_core.errors import Misuse
from coordinator_core.transaction import Transaction

REANNOUNCE_SECONDS = 5.0
RETRY_SECONDS = 2.0
PAYS_TOO_LITTLE = frozenset({BroadcastVerdict.FEE_TOO_LOW, BroadcastVerdict.CONFLICT})
"""Below the node's floor, or below what it has in its place: only a bump brings it in."""


class BroadcastExecutor:
    """Pin the raw transaction, then send it; the txid is the natural key, so sending twice is sending once.

    It is never done by itself: what it waits for is in the chain, and then it is wanted no more.
    """

    def __init__(self, services: Services) -> None:
        self._s = services
        self._transactions = RoleTransactions(services)

    async def __call__(self, task: Task[Broadcast]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        try:
            raw = await self._s.pinned(task.id, "raw", lambda: self._transactions.first(task.state, task.lane, duty))
        except DustSweep as error:
            # Recorded once as uneconomic and not tried again.
            return Done([NeedsOperator(topic=f"dust/{duty.role}", reason=str(error), resume="none: write it off")])
        built = _built(task, raw)
        if task.lane.facts.get(Built, built.key) is None:
            # Written before the transaction leaves: a crash after sending must not make a stranger's of it.
            return Again(0.0, [built])
        raw = await self._newest(task, raw)
        txid = Transaction.parse(raw).txid[::-1].hex()
        sent: list[Fact] = [Sent(role=duty.role, txid=txid)]
        if (await self._s.chain.transaction_status(txid)).place is not Place.UNKNOWN:
            return Again(REANNOUNCE_SECONDS, sent)
        result = await self._s.chain.broadcast(raw)
        if result.in_node:
            return Again(REANNOUNCE_SECONDS, sent)
        return _refused(duty, result)

    async def _newest(self, task: Task[Broadcast], first: bytes) -> bytes:
        """What was signed again for a higher fee is announced in the place of what was sent at first."""
        newest = bumping.newest(task.lane, task.duty.role, task.duty.attempt)
        if newest is None or newest.bump is not BumpKind.REPLACEMENT:
            return first
        signed = await pinned_bump(self._s, Bump(broadcast=task.duty).id(task.lane.id), newest.number)
        if signed is None:
            raise Misuse(f"the replacement {newest.txid} is not pinned")
        return signed.raw


def _built(task: Task[Broadcast], raw: bytes) -> Built:
    transaction = Transaction.parse(raw)
    return Built(
        attempt=task.duty.attempt,
        role=task.duty.role,
        txid=transaction.txid[::-1].hex(),
        spends=str(transaction.inputs[0].previous_output),
        at=task.lane.world.now,
    )


def _refused(duty: Broadcast, result: BroadcastResult) -> Again:
    too_little = result.verdict in PAYS_TOO_LITTLE
    known = (BelowFloor(attempt=duty.attempt, role=duty.role),) if too_little else ()
    return Again(RETRY_SECONDS, known, reason=f"{duty.role}: {result.verdict.value}: {result.reason}")
