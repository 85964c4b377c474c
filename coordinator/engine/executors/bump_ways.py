"""The two ways to make a transaction pay more: a child that pays for it too, or the same one signed again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
from msgspec import Struct

from coordinator.domain.competitions.fee_bump import NOTHING, Bounds, Paid, bump_fee
from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import Broadcast
from coordinator.domain.facts import BumpKind
from coordinator.domain.lane import Lane
from coordinator.engine.executors.contracts import funding_plan, signed_contract
from coordinator.engine.executors.services import Services
from coordinator.engine.executors.transactions import RoleTransactions, signed_by_us_alone, weight_to_us
from coordinator.ports.bitcoin import BroadcastResult, Coin, Outpoint, Place
from coordinator_core.dlc.anchor import anchor_index, presigned_fee
from coordinator_core.transaction import Transaction
from coordinator_core.units import DUST_P2TR, MAX_MONEY, Confirmations, FeeRate, Sats

UNLIMITED = MAX_MONEY


def bump_purpose(role: str, attempt: int) -> str:
    """The wallet's name for what pays for the bumps of a role."""
    return f"bump/{role}/{attempt}"


@dataclass(frozen=True, slots=True)
class Asked:
    """What the next bump is to reach: a rate, within bounds, in the place of the bump before."""

    previous: Paid | None
    target: FeeRate
    bounds: Bounds


@dataclass(frozen=True, slots=True)
class Offer:
    """The fee of the next bump, and the coins of the wallet that pay it. `short` says why they pay less than asked."""

    fee: Sats | None
    """None when no fee within the bounds would be taken by a node."""
    coins: tuple[Coin, ...] = ()
    short: str = ""


class SignedBump(Struct, frozen=True):
    """A bump as it is pinned: serialized, with its fee and the wallet's coins that it spends ("txid:vout")."""

    raw: bytes
    fee: Sats
    coins: tuple[str, ...] = ()

    @property
    def paid(self) -> Paid:
        """What it pays for itself."""
        return Paid(self.fee, Transaction.parse(self.raw).vsize)


async def pinned_bump(services: Services, duty: str, number: int) -> SignedBump | None:
    """A bump that is pinned already."""
    data = await services.store.pinned(duty, str(number))
    return None if data is None else msgspec.json.decode(data, type=SignedBump)


class Way(Protocol):
    """One transaction, and how it is bumped. Every call raises faults.PortError like the port behind it."""

    @property
    def kind(self) -> BumpKind:
        """Child or replacement."""
        ...

    @property
    def parent(self) -> Paid:
        """What a bump pays for besides itself."""
        ...

    @property
    def rescued(self) -> Sats:
        """What is at stake."""
        ...

    @property
    def original(self) -> SignedBump | None:
        """The transaction as it was first sent, when a bump takes its place."""
        ...

    async def offer(self, asked: Asked) -> Offer:
        """The next bump."""
        ...

    async def make(self, fee: Sats, coins: tuple[Coin, ...]) -> SignedBump:
        """Sign it."""
        ...

    async def send(self, raw: bytes) -> BroadcastResult:
        """Hand a bump to the node."""
        ...

    async def drop_spent_coins(self, ours: frozenset[str]) -> bool:
        """Look for other coins next time when one of them was spent by anything but `ours`; True when that was so."""
        ...


async def way_of(services: Services, state: Competition, lane: Lane, wanted: Broadcast, raw: bytes) -> Way:
    """How the pinned transaction of a role is bumped. Raises dlc.anchor.MissingAnchor."""
    transaction = Transaction.parse(raw)
    if signed_by_us_alone(wanted.role):
        value = await RoleTransactions(services).spent_value(state, lane, wanted)
        return Replacing(services, state, lane, wanted, transaction, value)
    if wanted.role == "funding":
        plan = await funding_plan(services, lane, wanted.attempt)
        output = transaction.outputs[plan.change_index]
        change = Coin(plan.change, plan.change_value, output.script_pubkey, Confirmations(0))
        return WithChild(services, lane, wanted, transaction, change, plan.fee)
    contract = (await signed_contract(services, wanted.contract)).contract
    index = anchor_index(transaction)
    anchor = transaction.outputs[index]
    outpoint = Outpoint(transaction.txid[::-1].hex(), index)
    coin = Coin(outpoint, anchor.value, anchor.script_pubkey, Confirmations(0))
    return WithChild(services, lane, wanted, transaction, coin, presigned_fee(contract, transaction))


@dataclass
class WithChild:
    """See Way. The child spends one output of the parent, the wallet adds coins when that one does not suffice."""

    services: Services
    lane: Lane
    wanted: Broadcast
    transaction: Transaction
    output: Coin
    fee: Sats
    kind: BumpKind = BumpKind.CHILD
    original: SignedBump | None = None

    @property
    def parent(self) -> Paid:
        """See Way."""
        return Paid(self.fee, self.transaction.vsize)

    @property
    def rescued(self) -> Sats:
        """See Way: what the contract holds in it, without what is only there for the bump."""
        kept = (o.value for n, o in enumerate(self.transaction.outputs) if n != self.output.outpoint.vout)
        return Sats(sum(kept))

    @property
    def _purpose(self) -> str:
        return bump_purpose(self.wanted.role, self.wanted.attempt)

    async def _reserved(self, at_least: int) -> tuple[Coin, ...]:
        return await self.services.wallet.fee_coins(self.lane.id, self._purpose, Sats(at_least))

    async def offer(self, asked: Asked) -> Offer:
        """See Way. Each further coin makes the child heavier, so the fee is asked for again."""
        coins = await self._reserved(0)
        fee = self._fee(asked, coins, UNLIMITED)
        while fee is not None and (missing := fee - self._affordable(coins)) > 0:
            more = await self._reserved(sum(coin.value for coin in coins) + missing)
            if len(more) == len(coins):
                short = f"the wallet is {missing} sat short of a fee bump of {fee} sat"
                return Offer(self._fee(asked, coins, self._affordable(coins)), coins, short)
            coins = more
            fee = self._fee(asked, coins, UNLIMITED)
        return Offer(fee, coins)

    def _fee(self, asked: Asked, coins: Sequence[Coin], affordable: Sats) -> Sats | None:
        vsize = -(-weight_to_us([self.output, *coins]) // 4)
        bounds = replace(asked.bounds, affordable=affordable)
        return bump_fee(self.parent, vsize, asked.previous, asked.target, bounds)

    def _affordable(self, coins: Sequence[Coin]) -> Sats:
        return Sats(self.output.value + sum(coin.value for coin in coins) - DUST_P2TR)

    async def make(self, fee: Sats, coins: tuple[Coin, ...]) -> SignedBump:
        """See Way."""
        raw = await self.services.wallet.spend_to_us(self.lane.id, self._purpose, [self.output, *coins], fee)
        return SignedBump(raw, fee, tuple(str(coin.outpoint) for coin in coins))

    async def send(self, raw: bytes) -> BroadcastResult:
        """See Way. A parent that the node does not hold goes with its child: alone it may be below the floor."""
        chain = self.services.chain
        if (await chain.transaction_status(self.output.outpoint.txid)).place is Place.UNKNOWN:
            return await chain.broadcast_package([self.transaction.serialize(), raw])
        return await chain.broadcast(raw)

    async def drop_spent_coins(self, ours: frozenset[str]) -> bool:
        """See Way."""
        for coin in await self._reserved(0):
            spend = await self.services.chain.spend_of(coin.outpoint)
            if spend is not None and spend.txid not in ours:
                await self.services.wallet.release(self.lane.id, self._purpose)
                return True
        return False


@dataclass
class Replacing:
    """See Way. The first transaction counts as the bump before the first one."""

    services: Services
    state: Competition
    lane: Lane
    wanted: Broadcast
    transaction: Transaction
    rescued: Sats
    kind: BumpKind = BumpKind.REPLACEMENT
    parent: Paid = NOTHING

    @property
    def original(self) -> SignedBump:
        """See Way."""
        paid = sum(output.value for output in self.transaction.outputs)
        return SignedBump(self.transaction.serialize(), Sats(self.rescued - paid))

    async def offer(self, asked: Asked) -> Offer:
        """See Way."""
        bounds = replace(asked.bounds, affordable=Sats(self.rescued - DUST_P2TR))
        return Offer(bump_fee(NOTHING, self.transaction.vsize, asked.previous, asked.target, bounds))

    async def make(self, fee: Sats, coins: tuple[Coin, ...]) -> SignedBump:
        """See Way."""
        raw = await RoleTransactions(self.services).again(self.state, self.lane, self.wanted, fee)
        return SignedBump(raw, fee)

    async def send(self, raw: bytes) -> BroadcastResult:
        """See Way."""
        return await self.services.chain.broadcast(raw)

    async def drop_spent_coins(self, ours: frozenset[str]) -> bool:
        """See Way: it spends none."""
        return False
