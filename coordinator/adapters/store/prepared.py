"""Statements that were compiled once, run several at a time in one trip to the connection's thread.

What runs with every transition costs more to be built, and to be carried to that thread, than to be done. These are
the same portable statements, without the way through the toolkit.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import ClauseElement
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.compiler import SQLCompiler

from coordinator.adapters.store.driver import Connection
from coordinator_core.errors import Misuse

T = TypeVar("T")
Values = Mapping[str, Any]
_DIALECT = sqlite.dialect(paramstyle="qmark")


class Prepared:
    """One statement with named values."""

    def __init__(self, statement: ClauseElement, columns: Iterable[str] | None = None) -> None:
        """`columns` are those of an insert that are given; the others have their defaults."""
        given = None if columns is None else list(columns)
        compiled = cast(SQLCompiler, statement.compile(dialect=_DIALECT, column_keys=given))
        self._sql = str(compiled)
        self._names: Sequence[str] = tuple(compiled.positiontup or ())
        self._fixed = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}

    def run(self, connection: sqlite3.Connection, values: Values) -> sqlite3.Cursor:
        """In the connection's thread. Raises sqlite3.Error, and KeyError for a value that is missing."""
        return connection.execute(self._sql, self._row(values))

    def run_many(self, connection: sqlite3.Connection, values: Iterable[Values]) -> int:
        """Once for each; the number of rows that were changed."""
        return connection.executemany(self._sql, map(self._row, values)).rowcount

    def _row(self, values: Values) -> list[Any]:
        return [values[name] if name in values else self._fixed[name] for name in self._names]


async def in_one_trip(connection: AsyncConnection, work: Callable[[sqlite3.Connection], T]) -> T:
    """What `work` makes of the connection of the standard library, in its thread. Raises what it raises.

    A transaction that is open stays open; where none is, `work` sees to it that what it reads belongs together.
    """
    return await (await _driver(connection)).in_thread(work)


async def with_next_trip(connection: AsyncConnection, work: Callable[[sqlite3.Connection], object]) -> None:
    """Let `work`, of which no answer is wanted, ride with the transaction's next statement or its commit, which raise
    what it raises.
    """
    (await _driver(connection)).with_next_trip(work)


async def _driver(connection: AsyncConnection) -> Connection:
    driver = (await connection.get_raw_connection()).driver_connection
    if not isinstance(driver, Connection):
        raise Misuse("the connection was not opened by the store's driver")
    return driver
