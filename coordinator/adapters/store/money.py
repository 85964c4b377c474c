"""Reservations and acts as comparisons with the outside need them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.prefixes import begins_with
from coordinator.adapters.store.reading import unfinished
from coordinator.domain.facts import Fact, FactBook
from coordinator.domain.versions import FACTS, UnreadableRow
from coordinator.ports.money import OpenBook, ReservedCoin
from coordinator_core.units import UnixTime

_CHUNK = 200
"""Names in one question."""
_COIN = "coin:"


class MoneyQueries:
    """See ports.money.MoneyReads."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def open_books(self, kinds: Sequence[type[Fact]]) -> AsyncIterator[OpenBook]:
        """See ports.money.MoneyReads. In portions: nothing is held while the caller asks outside."""
        names = [kind.kind() for kind in kinds]
        async with self._reader.connect() as connection:
            query = select(t.lane.c.id, t.lane.c.quarantined_reason).where(unfinished()).order_by(t.lane.c.id)
            lanes = [(row.id, row.quarantined_reason) for row in await connection.execute(query)]
        for start in range(0, len(lanes), _CHUNK):
            stopped = dict(lanes[start : start + _CHUNK])
            facts, confirmed = await self._portion(list(stopped), names)
            for lane, reason in stopped.items():
                yield _book(lane, reason, facts.get(lane, ()), frozenset(confirmed.get(lane, ())))

    async def _portion(self, lanes: list[str], kinds: list[str]) -> tuple[dict[str, list[Any]], dict[str, list[str]]]:
        facts: dict[str, list[Any]] = {}
        confirmed: dict[str, list[str]] = {}
        c = t.fact.c
        async with self._reader.connect() as connection:
            query = select(c.lane, c.kind, c.key, c.v, c.body).where(c.lane.in_(lanes), c.kind.in_(kinds))
            for row in await connection.execute(query):
                facts.setdefault(row.lane, []).append(row)
            hits = select(t.chain_hit.c.lane, t.chain_hit.c.txid).where(t.chain_hit.c.lane.in_(lanes))
            for row in await connection.execute(hits):
                confirmed.setdefault(row.lane, []).append(row.txid)
        return facts, confirmed

    async def oldest_open(self) -> UnixTime | None:
        """See ports.money.MoneyReads."""
        async with self._reader.connect() as connection:
            made = await connection.scalar(select(func.min(t.lane.c.created_at)).where(unfinished()))
        return None if made is None else UnixTime(made)

    async def taken(self, resources: Collection[str]) -> frozenset[str]:
        """See ports.money.MoneyReads."""
        found: set[str] = set()
        async with self._reader.connect() as connection:
            names = sorted(resources)
            for start in range(0, len(names), _CHUNK):
                chunk = names[start : start + _CHUNK]
                query = select(t.reservation.c.resource).where(t.reservation.c.resource.in_(chunk))
                found.update((await connection.execute(query)).scalars())
        return frozenset(found)

    async def reserved_coins(self) -> Sequence[ReservedCoin]:
        """See ports.money.MoneyReads."""
        c = t.reservation.c
        query = select(c.lane, c.resource).where(begins_with(c.resource, _COIN)).order_by(c.resource)
        async with self._reader.connect() as connection:
            rows = await connection.execute(query)
            return [ReservedCoin(row.lane, row.resource.removeprefix(_COIN)) for row in rows]

    async def acted_on(self, act: str) -> frozenset[str]:
        """See ports.money.MoneyReads."""
        async with self._reader.connect() as connection:
            rows = await connection.execute(select(t.audit.c.subject).where(t.audit.c.act == act))
            return frozenset(rows.scalars())


def _book(lane: str, stopped: str | None, rows: Iterable[Any], confirmed: frozenset[str]) -> OpenBook:
    facts = FactBook()
    try:
        for row in rows:
            facts.put(FACTS.decode(row.kind, row.v, row.body, f"{lane}/{row.kind}/{row.key}"))
    except UnreadableRow as error:
        return OpenBook(lane, stopped, facts, confirmed, str(error))
    return OpenBook(lane, stopped, facts, confirmed)
