"""On chain: a role's transaction is built once and pinned, sent, seen in the node, re-announced until confirmed."""

from __future__ import annotations

from coordinator.domain.competitions.states import DeltaBroadcasted, ExpiryBroadcasted, OutcomeBroadcasted
from coordinator.domain.duties import Broadcast
from coordinator.domain.facts import Attested, Built, Fact, NeedsOperator, Sent, Ticket
from coordinator.domain.lane import Lane
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.contracts import fee_market, funding_plan, signed_contract
from coordinator.engine.executors.lightning import entry_key_secret, payout_secret, ticket_secret
from coordinator.engine.executors.services import Services
from coordinator.ports.bitcoin import BroadcastVerdict, Place
from coordinator_core.competition.fees import contract_fee_rate
from coordinator_core.dlc import claims
from coordinator_core.dlc.claims import DustSweep
from coordinator_core.dlc.outcomes import EXPIRY, WinCondition
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.dlc.signed import SignedContract
from coordinator_core.errors import Misuse
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import Transaction

REANNOUNCE_SECONDS = 5.0
RETRY_SECONDS = 2.0
NEVER = frozenset({BroadcastVerdict.INVALID})


class BroadcastExecutor:
    """Pin the raw transaction, then send it; the txid is the natural key, so sending twice is sending once.

    It is never done by itself: what it waits for is in the chain, and then it is wanted no more.
    """

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[Broadcast]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        try:
            raw = await self._s.pinned(task.id, "raw", lambda: self._build(task, duty))
        except DustSweep as error:
            # Recorded once as uneconomic and not tried again.
            return Done([NeedsOperator(topic=f"dust/{duty.role}", reason=str(error), resume="none: write it off")])
        txid = Transaction.parse(raw).txid[::-1].hex()
        built = Built(attempt=duty.attempt, role=duty.role, txid=txid)
        if task.lane.facts.get(Built, built.key) is None:
            # Written before the transaction leaves: a crash after sending must not make a stranger's of it.
            return Again(0.0, [built])
        status = await self._s.chain.transaction_status(txid)
        sent: list[Fact] = [Sent(role=duty.role, txid=txid)]
        if status.place is not Place.UNKNOWN:
            return Again(REANNOUNCE_SECONDS, sent)
        result = await self._s.chain.broadcast(raw)
        if result.in_node:
            return Again(REANNOUNCE_SECONDS, sent)
        return Again(RETRY_SECONDS, reason=f"{duty.role}: {result.verdict.value}: {result.reason}")

    async def _build(self, task: Task[Broadcast], duty: Broadcast) -> bytes:
        if duty.role == "funding":
            return await self._s.wallet.sign(await funding_plan(self._s, task.lane, duty.attempt))
        if duty.role.startswith("take-back/"):
            rate = contract_fee_rate(task.lane.terms, await fee_market(self._s))
            plan = await funding_plan(self._s, task.lane, duty.attempt)
            return await self._s.wallet.take_back(plan, task.lane.id, rate)
        signed = await signed_contract(self._s, duty.contract)
        if duty.role == "expiry":
            return signed.expiry_transaction().serialize()
        if duty.role == "outcome":
            return signed.outcome_transaction(self._attestation(task.lane)).serialize()
        if duty.role == "split":
            return await self._split(task, duty, signed)
        return await self._sweep(task, duty, signed)

    @staticmethod
    def _attestation(lane: Lane) -> bytes:
        attested = lane.facts.get(Attested)
        if attested is None:
            raise Misuse("no attestation")
        return bytes.fromhex(attested.attestation)

    async def _split(self, task: Task[Broadcast], duty: Broadcast, signed: SignedContract) -> bytes:
        """Through the ticket of a winner that was not written off: the split reveals its preimage."""
        outcome = EXPIRY if duty.outcome is None else ContractOutcome(duty.outcome)
        players = signed.contract.parameters.winners(outcome)
        for player in players:
            entry_id = _roster(task)[player]
            ticket = task.lane.facts.get(Ticket, entry_id)
            if entry_id in getattr(task.state, "written_off", ()) or ticket is None:
                continue
            preimage = await self._s.secrets.get(task.lane.id, ticket_secret(ticket.ticket_hash))
            if preimage is not None:
                return signed.split_transaction(WinCondition(outcome, player), preimage).serialize()
        raise Misuse("no winner's ticket may be revealed")

    async def _sweep(self, task: Task[Broadcast], duty: Broadcast, signed: SignedContract) -> bytes:
        spend = await self._spend(task, duty, signed)
        rate = contract_fee_rate(task.lane.terms, await fee_market(self._s))
        script = await self._s.wallet.script_for(task.lane.id, f"sweep/{duty.role}")
        return claims.sweep([spend], script, rate).serialize()

    async def _spend(self, task: Task[Broadcast], duty: Broadcast, signed: SignedContract) -> claims.Spend:
        key = self._s.secrets.market_maker_key(task.lane.id)
        outcome = EXPIRY if duty.outcome is None else ContractOutcome(duty.outcome)
        contract = signed.contract
        if duty.role == "close":
            winners = [_roster(task)[player] for player in contract.parameters.winners(outcome)]
            return claims.outcome_close(contract, outcome, key, [await self._entry_key(task.lane, e) for e in winners])
        if duty.role == "reclaim":
            return claims.outcome_reclaim(contract, outcome, key)
        how, entry_id = duty.role.split(":")[1:]
        condition = WinCondition(outcome, _roster(task).index(entry_id))
        if how == "close":
            return claims.split_close(contract, condition, key, await self._entry_key(task.lane, entry_id))
        if how == "sellback":
            return claims.sellback(contract, condition, key, await self._secret(task.lane, payout_secret(entry_id)))
        return claims.split_reclaim(contract, condition, key)

    async def _entry_key(self, lane: Lane, entry_id: str) -> SecretKey:
        held = await self._secret(lane, entry_key_secret(entry_id))
        return SecretKey.from_bytes(held.reveal())

    async def _secret(self, lane: Lane, name: str) -> Secret:
        held = await self._s.secrets.get(lane.id, name)
        if held is None:
            raise Misuse(f"secret {name} is missing")
        return held


def _roster(task: Task[Broadcast]) -> tuple[str, ...]:
    state = task.state
    if isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        return state.roster
    raise Misuse("nothing is being settled")
