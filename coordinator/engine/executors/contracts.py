"""The contract of an attempt: kick-off check, parameters and coins pinned, signatures put together."""

from __future__ import annotations

import asyncio
from functools import lru_cache

import msgspec

from coordinator.domain.competitions import closing
from coordinator.domain.duties import AssembleContract, PinContract, ReleaseCoins
from coordinator.domain.facts import (
    BatchSigned,
    Built,
    CoinsReleased,
    ContractSigned,
    KickOffHeld,
    OracleEvent,
    Pinned,
    Ticket,
)
from coordinator.domain.lane import Lane
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.entries import signed_entry
from coordinator.engine.executors.services import Services
from coordinator.ports.bitcoin import FundingPlan, Outpoint, Output
from coordinator.ports.faults import Rejected
from coordinator_core.competition.contract import contract_parameters
from coordinator_core.competition.fees import FeeMarket
from coordinator_core.competition.kickoff import KickOff, Means, kick_off
from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.outcomes import EXPIRY
from coordinator_core.dlc.parameters import ContractParameters
from coordinator_core.dlc.serialization import parameters_from_json, parameters_to_json
from coordinator_core.dlc.signed import SignedContract
from coordinator_core.dlc.verification import assemble
from coordinator_core.errors import Misuse, Refused
from coordinator_core.oracle.locking import locking_points
from coordinator_core.transaction import OutPoint, txid_from_hex
from coordinator_core.units import UnixTime

FEE_TARGET_BLOCKS = 6
CONTRACTS_KEPT = 32
"""Contracts stay in memory while their batches are polled, 1.4 MB each at most: with fewer than sign at once every poll
would build one anew. Public values, rebuilt from the stored bytes when needed.
"""
SIGNED_KEPT = 4
"""Signed ones are read once for each transaction that is built of them."""
KICK_OFF_RETRY_SECONDS = 5.0


def funding_purpose(attempt: int) -> str:
    """The wallet's name for the funding of an attempt."""
    return f"funding/{attempt}"


async def fee_market(services: Services) -> FeeMarket:
    """What the node says now."""
    chain = services.chain
    estimate, floor = await asyncio.gather(chain.fee_rate(FEE_TARGET_BLOCKS), chain.relay_floor())
    return FeeMarket(estimate=estimate, relay_floor=floor)


def pinned(lane: Lane, attempt: int) -> Pinned:
    """Parameters and coins of an attempt. Raises Misuse."""
    pin = lane.facts.get(Pinned, attempt)
    if pin is None:
        raise Misuse(f"attempt {attempt} has no pinned contract")
    return pin


def funding_duty(lane: str, attempt: int) -> str:
    """Id of the duty that signs and sends the funding of an attempt; its pin "raw" exists once it was ever signed."""
    return f"{lane}/chain.broadcast/funding/{attempt}"


async def funding_was_signed(services: Services, lane: str, attempt: int) -> bool:
    """True when a funding of this attempt may exist somewhere."""
    return await services.store.pinned(funding_duty(lane, attempt), "raw") is not None


async def contract_of(services: Services, lane: Lane, attempt: int) -> Contract:
    """The unsigned contract, rebuilt from its pinned parameters."""
    pin = pinned(lane, attempt)
    parameters = await services.blob(pin.parameters)
    return await asyncio.to_thread(_build, parameters, pin.funding_txid, pin.funding_vout)


@lru_cache(maxsize=CONTRACTS_KEPT)
def _build(parameters: bytes, txid: str, vout: int) -> Contract:
    return Contract.build(parameters_from_json(parameters), OutPoint(txid_from_hex(txid), vout))


async def signed_contract(services: Services, blob: str) -> SignedContract:
    """A signed contract from its blob."""
    return await asyncio.to_thread(_read, await services.blob(blob))


@lru_cache(maxsize=SIGNED_KEPT)
def _read(document: bytes) -> SignedContract:
    return SignedContract.from_json(document)


class PinContractExecutor:
    """The kick-off check with today's fees and means; then parameters and coins are fixed for the attempt."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[PinContract]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        try:
            made = await self._kick_off(task.lane, duty.roster)
            return Done([await self._pin(task, duty, made)])
        except (Refused, Rejected) as error:
            held = KickOffHeld(attempt=duty.attempt, reason=str(error))
            return Again(KICK_OFF_RETRY_SECONDS, [held], reason=str(error))

    async def _kick_off(self, lane: Lane, roster: tuple[str, ...]) -> KickOff:
        tickets = [lane.facts.get(Ticket, entry_id) for entry_id in roster]
        fees = [ticket.network_fee for ticket in tickets if ticket is not None]
        # Side by side: while every answer is slow, the pins of other competitions wait for this one.
        balance, liquidity, market = await asyncio.gather(
            self._s.wallet.balance(), self._s.lightning.liquidity(), fee_market(self._s)
        )
        return kick_off(lane.terms, fees, market, Means(wallet=balance, lightning=liquidity.outbound))

    async def _pin(self, task: Task[PinContract], duty: PinContract, made: KickOff) -> Pinned:
        s, lane = self._s, task.lane
        # Pinned as text first: a second try after a crash must not build other parameters at another fee rate.
        text = await s.pinned(task.id, "parameters", lambda: self._parameters(lane, duty, made).encode())
        parameters = parameters_from_json(text)
        script = await asyncio.to_thread(_funding_script, parameters)
        earlier = [pin.inputs for pin in lane.facts.all(Pinned) if await funding_was_signed(s, lane.id, pin.attempt)]
        plan = await s.wallet.plan_funding(
            lane.id,
            funding_purpose(duty.attempt),
            Output(script, parameters.funding_value),
            parameters.fee_rate,
            must_spend_one_of=[tuple(Outpoint(*_outpoint(text)) for text in inputs) for inputs in earlier],
        )
        return Pinned(
            attempt=duty.attempt,
            parameters=await s.put_blob(text),
            plan=await s.put_blob(msgspec.json.encode(plan)),
            funding_txid=plan.txid,
            funding_vout=plan.output_index,
            funding_value=parameters.funding_value,
            fee_rate=parameters.fee_rate,
            inputs=tuple(str(coin.outpoint) for coin in plan.coins),
            at_height=lane.world.tip,
        )

    def _parameters(self, lane: Lane, duty: PinContract, made: KickOff) -> str:
        terms, entries = lane.terms, len(duty.roster)
        event = lane.facts.get(OracleEvent, duty.attempt)
        if event is None:
            raise Misuse(f"attempt {duty.attempt} has no oracle event")
        points = locking_points(terms.oracle_key, bytes.fromhex(event.nonce_point), entries, terms.places)
        return parameters_to_json(
            contract_parameters(
                terms,
                [signed_entry(lane, entry_id) for entry_id in duty.roster],
                attempt=duty.attempt,
                market_maker=self._s.secrets.market_maker_key(lane.id).public_key,
                locking_points=points,
                fee_rate=made.fee_rate,
            )
        )


def _funding_script(parameters: ContractParameters) -> bytes:
    """The whole contract is built: one that cannot be must not take coins. Raises InvalidInput or Refused."""
    return Contract.build(parameters, OutPoint(bytes(32), 0)).funding_output.script_pubkey


def _outpoint(text: str) -> tuple[str, int]:
    txid, _, vout = text.partition(":")
    return txid, int(vout)


async def funding_plan(services: Services, lane: Lane, attempt: int) -> FundingPlan:
    """The funding plan of an attempt."""
    return msgspec.json.decode(await services.blob(pinned(lane, attempt).plan), type=FundingPlan)


def read_signatures(blob: bytes) -> list[bytes]:
    """The signatures of a batch blob: a length byte, then the signature, each."""
    signatures: list[bytes] = []
    position = 0
    while position < len(blob):
        length = blob[position]
        signatures.append(blob[position + 1 : position + 1 + length])
        position += 1 + length
    return signatures


class AssembleContractExecutor:
    """Put the batches together in the contract's order and verify every signature once more."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[AssembleContract]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        contract = await contract_of(self._s, task.lane, duty.attempt)
        parts = sorted(task.lane.facts.of_attempt(BatchSigned, duty.attempt), key=lambda fact: fact.index)
        signatures = [sig for part in parts for sig in read_signatures(await self._s.blob(part.blob))]
        signed = await asyncio.to_thread(SignedContract.verified, contract, assemble(contract, signatures))
        blob = await self._s.put_blob(signed.to_json().encode())
        expiry = contract.outcome_txid(EXPIRY)[::-1].hex()
        return Done([ContractSigned(attempt=duty.attempt, blob=blob, expiry_txid=expiry)])


class ReleaseCoinsExecutor:
    """Give the coins of an ended attempt back. Of one whose funding was ever signed only once a spend of one of them is
    deep enough: what was signed may appear as long as it can confirm, and must not meet a coin in another contract.
    """

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[ReleaseCoins]) -> Outcome:
        """See duty.Executor."""
        lane, attempt = task.lane, task.duty.attempt
        if closing.spent_deep(lane, attempt) is None and await funding_was_signed(self._s, lane.id, attempt):
            # Signed in the moment in which it was given up: with this its coin is taken back first.
            pin = pinned(lane, attempt)
            return Done([_built(pin, lane.world.now)])
        await self._s.wallet.release(lane.id, funding_purpose(attempt))
        return Done([CoinsReleased(attempt=attempt)])


def _built(pin: Pinned, now: UnixTime) -> Built:
    return Built(attempt=pin.attempt, role="funding", txid=pin.funding_txid, spends=pin.inputs[0], at=now)
