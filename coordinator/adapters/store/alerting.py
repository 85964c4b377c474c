"""What operators were told of."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from coordinator.adapters.store import tables as t
from coordinator.ports.alerts import AlertRow


class AlertStatements:
    """See ports.alerts.AlertWrites."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._c = connection

    async def put_alert(self, row: AlertRow) -> None:
        """One row a key."""
        values = msgspec.structs.asdict(row)
        statement = insert(t.alert).values(**values)
        await self._c.execute(statement.on_conflict_do_update(index_elements=["key"], set_=values))


class AlertQueries:
    """See ports.alerts.AlertReads."""

    def __init__(self, reader: AsyncEngine) -> None:
        self._reader = reader

    async def alerts(self) -> Sequence[AlertRow]:
        """See ports.alerts.AlertReads."""
        c = t.alert.c
        query = select(t.alert).order_by(c.first.desc(), c.key)
        async with self._reader.connect() as connection:
            # By name of the column: a row has a method of its own called `count`.
            return [AlertRow(**row) for row in (await connection.execute(query)).mappings()]
