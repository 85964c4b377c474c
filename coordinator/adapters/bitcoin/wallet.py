"""The coordinator's own coins: BIP86 addresses of one seed, durable reservations, fee caps.

Descriptor: tr([fingerprint/86h/COINh/0h]xpub/0/*). Index numbers are taken in the reservation table before an address
is used, so a lost process never hands out an address twice; coins are reserved with the plan that spends them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from embit.bip32 import HDKey
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.bitcoin import Chain, Coin, FundingPlan, Network, Outpoint, Output
from coordinator.ports.faults import Rejected
from coordinator_core.errors import Fault
from coordinator_core.secp256k1 import SecretKey, lift_x, schnorr_sign
from coordinator_core.secret import Secret
from coordinator_core.transaction import (
    SEQUENCE_LOCK_TIME,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
    input_weight,
    pay_to_taproot,
    predict_weight,
    taproot_sighash,
    tweak_public_key,
)
from coordinator_core.transaction.weight import KEY_PATH_WITNESS
from coordinator_core.units import FeeRate, Sats, Weight

MIN_CHANGE = Sats(20_000)
"""Kept by every funding for its own bump."""
MAX_FUNDING_FEE_SHARE = 10
"""A funding never pays more than a tenth of its output in fees."""
COIN_TYPE_MAINNET, COIN_TYPE_TEST = 0, 1
P2TR_LENGTH = 34


class OnchainWallet:
    """See ports.bitcoin.Wallet."""

    def __init__(self, store: SqliteStore, chain: Chain, seed: Secret, network: Network) -> None:
        self._store = store
        self._chain = chain
        coin = COIN_TYPE_MAINNET if network is Network.MAINNET else COIN_TYPE_TEST
        self._account = HDKey.from_seed(seed.reveal()).derive(f"m/86h/{coin}h/0h")

    async def script_for(self, lane: str, purpose: str) -> bytes:
        """See ports.bitcoin.Wallet."""
        return self._script(await self._index_for(lane, purpose))

    async def balance(self) -> Sats:
        """See ports.bitcoin.Wallet."""
        return Sats(sum(coin.value for coin in await self._free_coins()))

    async def total(self) -> Sats:
        """See ports.bitcoin.Wallet."""
        coins = await self._chain.coins_of(tuple(await self._addresses()))
        return Sats(sum(coin.value for coin in coins if coin.confirmations > 0))

    async def plan_funding(
        self,
        lane: str,
        purpose: str,
        output: Output,
        fee_rate: FeeRate,
        *,
        must_spend_one_of: Sequence[Sequence[Outpoint]] = (),
    ) -> FundingPlan:
        """See ports.bitcoin.Wallet."""
        if (known := await self._stored_plan(lane, purpose)) is not None:
            return known
        required = frozenset(group[0] for group in must_spend_one_of if group)
        coins = await self._free_coins(own=f"{lane}/", also=required)
        chosen = _choose(coins, required, output.value, fee_rate)
        change_script = await self.script_for(lane, f"change/{purpose}")
        plan = _plan(chosen, output, change_script, fee_rate)
        return await self._reserve(lane, purpose, plan)

    async def sign(self, plan: FundingPlan) -> bytes:
        """See ports.bitcoin.Wallet."""
        transaction = Transaction.parse(plan.unsigned)
        previous = [TxOut(coin.value, coin.script) for coin in plan.coins]
        keys = await self._keys_of({coin.script for coin in plan.coins})
        for index, coin in enumerate(plan.coins):
            message = taproot_sighash(transaction, index, previous)
            transaction = transaction.with_witness(index, (schnorr_sign(message, keys[coin.script]),))
        return transaction.serialize()

    async def release(self, lane: str, purpose: str) -> None:
        """See ports.bitcoin.Wallet."""
        async with self._store.write_connection() as connection:
            c = t.reservation.c
            await connection.execute(
                delete(t.reservation).where(c.lane == lane, c.purpose == purpose, c.resource.like("coin:%"))
            )

    async def _index_for(self, lane: str, purpose: str) -> int:
        c = t.reservation.c
        name = f"address/{purpose}"
        async with self._store.write_connection() as connection:
            known = await connection.scalar(select(c.value).where(c.lane == lane, c.purpose == name))
            if known is not None:
                return int(known)
            taken = await connection.scalar(
                select(func.count()).select_from(t.reservation).where(c.resource.like("address:%"))
            )
            row = {"resource": f"address:{taken}", "lane": lane, "purpose": name, "value": str(taken).encode()}
            await connection.execute(insert(t.reservation).values(**row))
            return int(taken or 0)

    async def _addresses(self) -> dict[bytes, int]:
        async with self._store.read_connection() as connection:
            rows = await connection.execute(
                select(t.reservation.c.value).where(t.reservation.c.resource.like("address:%"))
            )
            return {self._script(int(row.value)): int(row.value) for row in rows}

    async def _free_coins(self, own: str = "", also: frozenset[Outpoint] = frozenset()) -> list[Coin]:
        coins = await self._chain.coins_of(tuple(await self._addresses()))
        async with self._store.read_connection() as connection:
            rows = await connection.execute(
                select(t.reservation.c.resource).where(t.reservation.c.resource.like("coin:%"))
            )
            reserved = {row.resource for row in rows}
        free = [c for c in coins if f"coin:{c.outpoint}" not in reserved or c.outpoint in also]
        return [coin for coin in free if coin.confirmations > 0]

    async def _stored_plan(self, lane: str, purpose: str) -> FundingPlan | None:
        async with self._store.read_connection() as connection:
            value = await connection.scalar(
                select(t.reservation.c.value).where(t.reservation.c.resource == f"plan:{lane}/{purpose}")
            )
        return None if value is None else msgspec.json.decode(value, type=FundingPlan)

    async def _reserve(self, lane: str, purpose: str, plan: FundingPlan) -> FundingPlan:
        """Plan and coins in one transaction: two plans never share a coin unless the same lane must respend it."""
        rows: list[dict[str, Any]] = [
            {"resource": f"coin:{coin.outpoint}", "lane": lane, "purpose": purpose, "value": None}
            for coin in plan.coins
        ]
        body = msgspec.json.encode(plan)
        async with self._store.write_connection() as connection:
            for row in rows:
                await connection.execute(insert(t.reservation).values(**row).on_conflict_do_nothing())
            c = t.reservation.c
            names = [row["resource"] for row in rows]
            owners = await connection.execute(select(c.lane).where(c.resource.in_(names)))
            if any(row.lane != lane for row in owners):
                raise Rejected("wallet", "a coin was taken by another competition", fault=Fault.COORDINATOR)
            plan_row = {"resource": f"plan:{lane}/{purpose}", "lane": lane, "purpose": "plan", "value": body}
            await connection.execute(insert(t.reservation).values(**plan_row).on_conflict_do_nothing())
        return plan

    def _script(self, index: int) -> bytes:
        internal = self._account.derive([0, index]).get_public_key().xonly()
        return pay_to_taproot(tweak_public_key(lift_x(internal), b"")[1:])

    async def _keys_of(self, scripts: set[bytes]) -> dict[bytes, SecretKey]:
        indexes = await self._addresses()
        missing = scripts - set(indexes)
        if missing:
            raise Rejected("wallet", "a coin does not belong to this seed", fault=Fault.COORDINATOR)
        return {script: self._key(indexes[script]) for script in scripts}

    def _key(self, index: int) -> SecretKey:
        return SecretKey.from_bytes(self._account.derive([0, index]).secret).taproot_tweaked()


def _funding_weight(inputs: int) -> Weight:
    return predict_weight([input_weight(KEY_PATH_WITNESS)] * inputs, [P2TR_LENGTH, P2TR_LENGTH])


def _choose(coins: Sequence[Coin], required: frozenset[Outpoint], value: Sats, fee_rate: FeeRate) -> list[Coin]:
    """Required coins first, then the largest ones until output, fee and the least change are covered."""
    chosen = [coin for coin in coins if coin.outpoint in required]
    if len(chosen) != len(required):
        raise Rejected(
            "wallet", "a coin of an earlier funding is gone: that funding may be in the chain", fault=Fault.NODE
        )
    rest = sorted((c for c in coins if c.outpoint not in required), key=lambda c: (-c.value, c.outpoint))
    while _short(chosen, value, fee_rate) > 0:
        if not rest:
            missing = _short(chosen, value, fee_rate)
            raise Rejected("wallet", f"{missing} sat are missing to fund the contract", fault=Fault.COORDINATOR)
        chosen.append(rest.pop(0))
    return chosen


def _fee(inputs: int, fee_rate: FeeRate) -> int:
    return -(-fee_rate * _funding_weight(inputs) // 1_000)


def _short(chosen: Sequence[Coin], value: Sats, fee_rate: FeeRate) -> int:
    return value + _fee(max(1, len(chosen)), fee_rate) + MIN_CHANGE - sum(coin.value for coin in chosen)


def _plan(coins: Sequence[Coin], output: Output, change_script: bytes, fee_rate: FeeRate) -> FundingPlan:
    fee = _fee(len(coins), fee_rate)
    if fee * MAX_FUNDING_FEE_SHARE > output.value:
        raise Rejected("wallet", f"a fee of {fee} sat is more than a tenth of the funding", fault=Fault.COORDINATOR)
    change = Sats(sum(coin.value for coin in coins) - output.value - fee)
    transaction = Transaction(
        inputs=tuple(
            TxIn(OutPoint.parse(str(coin.outpoint)), SEQUENCE_LOCK_TIME)
            for coin in sorted(coins, key=lambda c: c.outpoint)
        ),
        outputs=(TxOut(output.value, output.script), TxOut(change, change_script)),
    )
    return FundingPlan(
        unsigned=transaction.serialize(),
        txid=transaction.txid[::-1].hex(),
        coins=tuple(sorted(coins, key=lambda c: c.outpoint)),
        output_index=0,
        change_index=1,
        change_value=change,
        fee=Sats(fee),
    )
