"""The database driver: aiosqlite with one trip to its thread for each statement, where it takes four.

A cursor of aiosqlite is made, run, read and closed in its connection's thread, each with a trip there and back. Here
the four are one: the rows of a statement are read where it ran.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")


class Cursor:
    """One statement and its rows."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None
        self._rows: list[Any] = []

    async def __aenter__(self) -> Cursor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def execute(self, sql: str, parameters: Any = ()) -> Cursor:
        """Run a statement and read all of its rows. Raises sqlite3.Error."""
        return await self._trip(lambda cursor: cursor.execute(sql, parameters))

    async def executemany(self, sql: str, parameters: Sequence[Any]) -> Cursor:
        """Run a statement for each of the parameters. Raises sqlite3.Error."""
        return await self._trip(lambda cursor: cursor.executemany(sql, parameters))

    async def fetchall(self) -> list[Any]:
        """The rows; none the second time."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """The cursor of the database was closed when its rows were read."""
        self._rows = []

    async def _trip(self, run: Callable[[sqlite3.Cursor], sqlite3.Cursor]) -> Cursor:
        await self._connection.in_thread(lambda connection: self._read(connection, run))
        return self

    def _read(self, connection: sqlite3.Connection, run: Callable[[sqlite3.Cursor], sqlite3.Cursor]) -> None:
        cursor = connection.cursor()
        try:
            run(cursor)
            self._rows = cursor.fetchall() if cursor.description else []
            self.description, self.rowcount, self.lastrowid = cursor.description, cursor.rowcount, cursor.lastrowid
        finally:
            cursor.close()


class Connection(aiosqlite.Connection):
    """See the module."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        self._riders: list[Callable[[sqlite3.Connection], object]] = []

    def cursor(self) -> Cursor:  # type: ignore[override]
        """For one statement at a time; no trip."""
        return Cursor(self)

    async def in_thread(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` makes of the connection of the standard library, in its thread. Raises what it raises."""
        return await self._execute(work, self._conn)

    def with_next_trip(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Run `work` before whatever comes next on this connection, the commit at the latest, in the same trip. What it
        raises is raised there; a rollback drops it.
        """
        self._riders.append(work)

    async def rollback(self) -> None:
        """What did not run yet is not run."""
        self._riders.clear()
        await super().rollback()

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        # Every statement, commit and read passes here: nothing sees the database as it was before the riders.
        riders, self._riders = self._riders, []
        if not riders:
            return await super()._execute(fn, *args, **kwargs)

        def together() -> Any:
            for ride in riders:
                ride(self._conn)
            return fn(*args, **kwargs)

        return await super()._execute(together)


async def connect(path: Path) -> Connection:
    """Open a database file."""
    connection = Connection(lambda: sqlite3.connect(path, isolation_level=None), iter_chunk_size=64)
    connection._thread.daemon = True
    await connection
    return connection
