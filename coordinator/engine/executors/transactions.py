"""The transaction of each role: presigned ones completed, our own ones signed and, for a higher fee, signed again."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.domain.competitions.fee_bump import CAP_SHARE
from coordinator.domain.competitions.states import Competition, DeltaBroadcasted, ExpiryBroadcasted, OutcomeBroadcasted
from coordinator.domain.duties import Broadcast
from coordinator.domain.facts import Attested, Ticket
from coordinator.domain.lane import Lane
from coordinator.engine.executors.contracts import fee_market, funding_plan, signed_contract
from coordinator.engine.executors.secret_names import entry_key_secret, payout_secret, ticket_secret
from coordinator.engine.executors.services import Services
from coordinator.ports.bitcoin import Coin
from coordinator_core.dlc import claims
from coordinator_core.dlc.outcomes import EXPIRY, WinCondition
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.dlc.relay import least_fee_rate
from coordinator_core.dlc.signed import SignedContract
from coordinator_core.errors import Misuse
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import PAY_TO_ANCHOR, TxOut, input_weight, predict_weight
from coordinator_core.transaction.weight import KEY_PATH_WITNESS, P2TR_SCRIPT_BYTES
from coordinator_core.units import FeeRate, Sats, Weight

TAKE_BACK = "take-back/"
_PRESIGNED = frozenset({"outcome", "expiry", "split"})


def signed_by_us_alone(role: str) -> bool:
    """True when a transaction of this role can be signed again: nobody else signed it, nothing depends on its txid."""
    return role != "funding" and role not in _PRESIGNED


class RoleTransactions:
    """Builds and signs. What was built is pinned by those who call."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def first(self, state: Competition, lane: Lane, wanted: Broadcast) -> bytes:
        """The transaction of a role as it is sent at first. Raises claims.DustSweep, Misuse."""
        if wanted.role == "funding":
            return await self._s.wallet.sign(await funding_plan(self._s, lane, wanted.attempt))
        if wanted.role.startswith(TAKE_BACK):
            return await self._take_back(lane, wanted)
        signed = await signed_contract(self._s, wanted.contract)
        if wanted.role == "expiry":
            return signed.expiry_transaction().serialize()
        if wanted.role == "outcome":
            return signed.outcome_transaction(_attestation(lane)).serialize()
        if wanted.role == "split":
            return await self._split(state, lane, wanted, signed)
        spend = await self._spend(state, lane, wanted, signed)
        rate = await self._own_rate(spend.output.value, predict_weight([spend.weight], [P2TR_SCRIPT_BYTES]))
        return claims.sweep([spend], await self._sweep_script(lane, wanted), rate).serialize()

    async def again(self, state: Competition, lane: Lane, wanted: Broadcast, fee: Sats) -> bytes:
        """One of our own transactions, signed again to pay `fee`. Raises Misuse for any other role."""
        if wanted.role.startswith(TAKE_BACK):
            coin = (await funding_plan(self._s, lane, wanted.attempt)).coins[0]
            return await self._s.wallet.spend_to_us(lane.id, wanted.role, [coin], fee)
        spend = await self._own_spend(state, lane, wanted)
        output = TxOut(Sats(spend.output.value - fee), await self._sweep_script(lane, wanted))
        return claims.sign_spends([spend], (output,)).serialize()

    async def spent_value(self, state: Competition, lane: Lane, wanted: Broadcast) -> Sats:
        """What one of our own transactions takes in. Raises Misuse for any other role."""
        if wanted.role.startswith(TAKE_BACK):
            return (await funding_plan(self._s, lane, wanted.attempt)).coins[0].value
        return (await self._own_spend(state, lane, wanted)).output.value

    async def _own_spend(self, state: Competition, lane: Lane, wanted: Broadcast) -> claims.Spend:
        if not signed_by_us_alone(wanted.role):
            raise Misuse(f"{wanted.role} cannot be signed again")
        return await self._spend(state, lane, wanted, await signed_contract(self._s, wanted.contract))

    async def _take_back(self, lane: Lane, wanted: Broadcast) -> bytes:
        plan = await funding_plan(self._s, lane, wanted.attempt)
        rate = await self._own_rate(plan.coins[0].value, weight_to_us(plan.coins[:1]))
        return await self._s.wallet.take_back(plan, lane.id, rate)

    async def _own_rate(self, value: Sats, weight: Weight) -> FeeRate:
        """The estimate, above the floor, at a cost of at most a tenth: the terms' ceiling does not hold back what
        protects money, and days of dear blocks write nothing off as dust.
        """
        market = await fee_market(self._s)
        least = least_fee_rate(market.relay_floor)
        most = FeeRate(value // CAP_SHARE * 1_000 // weight)
        return max(least, min(market.estimate or least, most))

    async def _sweep_script(self, lane: Lane, wanted: Broadcast) -> bytes:
        return await self._s.wallet.script_for(lane.id, f"sweep/{wanted.role}")

    async def _split(self, state: Competition, lane: Lane, wanted: Broadcast, signed: SignedContract) -> bytes:
        """Through the ticket of a winner that was not written off: the split reveals its preimage."""
        outcome = EXPIRY if wanted.outcome is None else ContractOutcome(wanted.outcome)
        players = signed.contract.parameters.winners(outcome)
        for player in players:
            entry_id = _roster(state)[player]
            ticket = lane.facts.get(Ticket, entry_id)
            if entry_id in getattr(state, "written_off", ()) or ticket is None:
                continue
            preimage = await self._s.secrets.get(lane.id, ticket_secret(ticket.ticket_hash))
            if preimage is not None:
                return signed.split_transaction(WinCondition(outcome, player), preimage).serialize()
        raise Misuse("no winner's ticket may be revealed")

    async def _spend(self, state: Competition, lane: Lane, wanted: Broadcast, signed: SignedContract) -> claims.Spend:
        key = self._s.secrets.market_maker_key(lane.id)
        outcome = EXPIRY if wanted.outcome is None else ContractOutcome(wanted.outcome)
        contract = signed.contract
        if wanted.role == "close":
            winners = [_roster(state)[player] for player in contract.parameters.winners(outcome)]
            return claims.outcome_close(contract, outcome, key, [await self._entry_key(lane, e) for e in winners])
        if wanted.role == "reclaim":
            return claims.outcome_reclaim(contract, outcome, key)
        how, entry_id = wanted.role.split(":")[1:]
        condition = WinCondition(outcome, _roster(state).index(entry_id))
        if how == "close":
            return claims.split_close(contract, condition, key, await self._entry_key(lane, entry_id))
        if how == "sellback":
            return claims.sellback(contract, condition, key, await self._secret(lane, payout_secret(entry_id)))
        return claims.split_reclaim(contract, condition, key)

    async def _entry_key(self, lane: Lane, entry_id: str) -> SecretKey:
        held = await self._secret(lane, entry_key_secret(entry_id))
        return SecretKey.from_bytes(held.reveal())

    async def _secret(self, lane: Lane, name: str) -> Secret:
        held = await self._s.secrets.get(lane.id, name)
        if held is None:
            raise Misuse(f"secret {name} is missing")
        return held


def weight_to_us(coins: Sequence[Coin]) -> Weight:
    """Weight of a signed transaction of anchors and coins of the wallet to one address of ours."""
    witnesses = (() if coin.script == PAY_TO_ANCHOR else KEY_PATH_WITNESS for coin in coins)
    return predict_weight([input_weight(witness) for witness in witnesses], [P2TR_SCRIPT_BYTES])


def _attestation(lane: Lane) -> bytes:
    attested = lane.facts.get(Attested)
    if attested is None:
        raise Misuse("no attestation")
    return bytes.fromhex(attested.attestation)


def _roster(state: Competition) -> tuple[str, ...]:
    if isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        return state.roster
    raise Misuse("nothing is being settled")
