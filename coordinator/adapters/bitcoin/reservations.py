"""What the wallet must not forget: address numbers, reserved coins, funding plans. One table, one writer.

Rows of the reservation table: `address:N`, `coin:TXID:VOUT`, `plan:LANE/PURPOSE`, `ended:LANE/PURPOSE`. The row of a
coin that pays for a fee bump holds the coin itself: once its child is in the mempool, the node no longer lists it
among the unspent ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.sqlite import insert

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.prefixes import begins_with
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.bitcoin import Coin, FundingPlan, Outpoint
from coordinator.ports.faults import Rejected
from coordinator_core.errors import Fault

_c = t.reservation.c


@dataclass(frozen=True, slots=True)
class Reservations:
    """Durable before it is used: an address number before its address, a coin before its plan is handed out."""

    store: SqliteStore

    async def address_number(self, lane: str, purpose: str) -> int:
        """The number of this lane and purpose; a fresh one at first. Rows of addresses are never deleted."""
        name = f"address/{purpose}"
        async with self.store.write_connection() as connection:
            known = await connection.scalar(select(_c.value).where(_c.lane == lane, _c.purpose == name))
            if known is not None:
                return int(known)
            taken = await connection.scalar(
                select(func.count()).select_from(t.reservation).where(begins_with(_c.resource, "address:"))
            )
            row = {"resource": f"address:{taken}", "lane": lane, "purpose": name, "value": str(taken).encode()}
            await connection.execute(insert(t.reservation).values(**row))
            return int(taken)

    async def address_numbers(self) -> list[int]:
        """All numbers given out."""
        async with self.store.read_connection() as connection:
            rows = await connection.execute(select(_c.resource).where(begins_with(_c.resource, "address:")))
            return [int(name.removeprefix("address:")) for name in rows.scalars()]

    async def coins(self) -> dict[str, str]:
        """Lane by reserved outpoint (TXID:VOUT)."""
        async with self.store.read_connection() as connection:
            rows = await connection.execute(select(_c.resource, _c.lane).where(begins_with(_c.resource, "coin:")))
            return {row.resource.removeprefix("coin:"): row.lane for row in rows}

    async def plan(self, lane: str, purpose: str) -> FundingPlan | None:
        """The plan of this lane and purpose."""
        async with self.store.read_connection() as connection:
            value = await connection.scalar(select(_c.value).where(_c.resource == _plan_name(lane, purpose)))
        return None if value is None else msgspec.json.decode(value, type=FundingPlan)

    async def holds(self, plan: FundingPlan) -> bool:
        """True while this very plan is reserved."""
        query = select(func.count()).select_from(t.reservation)
        same = query.where(begins_with(_c.resource, "plan:"), _c.value == msgspec.json.encode(plan))
        async with self.store.read_connection() as connection:
            return bool(await connection.scalar(same))

    async def reserve(self, lane: str, purpose: str, plan: FundingPlan) -> None:
        """Plan and coins in one transaction. Raises Rejected when another lane has one of the coins, or when the
        purpose was released: whoever still plans for an attempt that ended comes too late, whatever the order.
        """
        names = [_coin_name(coin.outpoint) for coin in plan.coins]
        async with self.store.write_connection() as connection:
            if await connection.scalar(select(_c.lane).where(_c.resource == _ended_name(lane, purpose))) is not None:
                raise Rejected("wallet", "this purpose was released", fault=Fault.COORDINATOR)
            for name in names:
                row = {"resource": name, "lane": lane, "purpose": purpose, "value": None}
                await connection.execute(insert(t.reservation).values(**row).on_conflict_do_nothing())
            owners = await connection.execute(select(_c.lane).where(_c.resource.in_(names)))
            if any(row.lane != lane for row in owners):
                raise Rejected("wallet", "a coin was taken by another competition", fault=Fault.COORDINATOR)
            row = {
                "resource": _plan_name(lane, purpose),
                "lane": lane,
                "purpose": "plan",
                "value": msgspec.json.encode(plan),
            }
            await connection.execute(insert(t.reservation).values(**row))

    async def fee_coins(self, lane: str, purpose: str) -> tuple[Coin, ...]:
        """Coins reserved for the fee bumps of this purpose."""
        held = (_c.lane == lane, _c.purpose == purpose, begins_with(_c.resource, "coin:"), _c.value.is_not(None))
        async with self.store.read_connection() as connection:
            rows = await connection.execute(select(_c.value).where(*held).order_by(_c.resource))
            return tuple(msgspec.json.decode(row.value, type=Coin) for row in rows)

    async def reserve_fee_coins(self, lane: str, purpose: str, coins: Sequence[Coin]) -> None:
        """All of them or none. Raises Rejected when one of them is reserved."""
        async with self.store.write_connection() as connection:
            for coin in coins:
                name, value = _coin_name(coin.outpoint), msgspec.json.encode(coin)
                row = {"resource": name, "lane": lane, "purpose": purpose, "value": value}
                done = await connection.execute(insert(t.reservation).values(**row).on_conflict_do_nothing())
                if done.rowcount != 1:
                    raise Rejected("wallet", "a coin was taken by another competition", fault=Fault.COORDINATOR)

    async def release_fee_coins(self, lane: str, purpose: str) -> None:
        """Forget the coins reserved for the fee bumps of this purpose."""
        held = (_c.lane == lane, _c.purpose == purpose, begins_with(_c.resource, "coin:"), _c.value.is_not(None))
        async with self.store.write_connection() as connection:
            await connection.execute(delete(t.reservation).where(*held))

    async def release(self, lane: str, purpose: str) -> None:
        """Forget a plan, and its coins unless another plan of the lane spends them too. The purpose gets none again."""
        ended_row = {"resource": _ended_name(lane, purpose), "lane": lane, "purpose": "ended", "value": None}
        async with self.store.write_connection() as connection:
            await connection.execute(insert(t.reservation).values(**ended_row).on_conflict_do_nothing())
            rows = await connection.execute(
                select(_c.resource, _c.value).where(_c.lane == lane, begins_with(_c.resource, "plan:"))
            )
            plans = {row.resource: msgspec.json.decode(row.value, type=FundingPlan) for row in rows}
            ended = plans.pop(_plan_name(lane, purpose), None)
            if ended is None:
                return
            kept = {coin.outpoint for plan in plans.values() for coin in plan.coins}
            freed = [_coin_name(coin.outpoint) for coin in ended.coins if coin.outpoint not in kept]
            gone: list[Any] = [*freed, _plan_name(lane, purpose)]
            await connection.execute(delete(t.reservation).where(_c.lane == lane, _c.resource.in_(gone)))


def _plan_name(lane: str, purpose: str) -> str:
    return f"plan:{lane}/{purpose}"


def _ended_name(lane: str, purpose: str) -> str:
    return f"ended:{lane}/{purpose}"


def _coin_name(outpoint: Outpoint) -> str:
    return f"coin:{outpoint}"
