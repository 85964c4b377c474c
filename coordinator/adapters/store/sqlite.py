"""SQLite behind ports.store.Store: WAL, synchronous=FULL, one writer, BEGIN IMMEDIATE, one process (file lock)."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.alerting import AlertQueries
from coordinator.adapters.store.auditing import AuditQueries
from coordinator.adapters.store.claiming import NEWS, due_duties
from coordinator.adapters.store.driver import connect
from coordinator.adapters.store.measuring import ProgressQueries
from coordinator.adapters.store.money import MoneyQueries
from coordinator.adapters.store.operating import OperatorQueries
from coordinator.adapters.store.reading import last_payment, load_facts, load_lane
from coordinator.adapters.store.retention import forget, leftovers
from coordinator.adapters.store.schema import migrate
from coordinator.adapters.store.timing import TimerQueries
from coordinator.adapters.store.transaction import SqliteTransaction
from coordinator.ports.following import BlockHeader, Search, Watch
from coordinator.ports.leasing import NOBODY, Due
from coordinator.ports.operating import Leftover
from coordinator.ports.store import F, LaneRecord, News, TransitionRow
from coordinator_core.errors import InvalidInput
from coordinator_core.units import Height, UnixTime

READERS = 4
BUSY_MILLISECONDS = 5_000
CHECKPOINT_MILLISECONDS = 200
"""For a reader that was cut off, or a copier: the journal is as good where it is."""
WAL_PAGES = 1_000
WAL_BYTES = 16_000_000
_OWNER_ONLY = 0o600


class SqliteStore(AlertQueries, ProgressQueries, OperatorQueries, MoneyQueries, TimerQueries, AuditQueries):
    """One database file, owned by one process."""

    def __init__(self, path: Path) -> None:
        super().__init__(_engine(path, pool_size=READERS, read_only=True))
        self._path = path
        self._opened = False
        self._lock = asyncio.Lock()
        # Before SQLite makes it: it gives its mode to journal and shared memory.
        path.touch(_OWNER_ONLY, exist_ok=True)
        lock = path.with_suffix(".lock")
        lock.touch(_OWNER_ONLY, exist_ok=True)
        self._file_lock = lock.open("w")
        self._writer = _engine(path, pool_size=1, read_only=False)

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Lock, migrate and open a database. Raises InvalidInput when another process holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        store = cls(path)
        try:
            store._take()
            async with store._writer.begin() as connection:
                await connection.run_sync(migrate)
        except BaseException:
            await store.close()
            raise
        store._opened = True
        return store

    def _take(self) -> None:
        try:
            fcntl.flock(self._file_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reason = f"{self._path.name} is in use by another process"
            raise InvalidInput("database", reason, "stop it first") from None

    async def close(self) -> None:
        """Empty the journal into the database, close connections and release the file lock."""
        try:
            await self._reader.dispose()
            if self._opened:
                await self._checkpoint()
            await self._writer.dispose()
        finally:
            self._file_lock.close()

    async def _checkpoint(self) -> None:
        """After a clean end one file holds everything. A copier that still reads keeps it as it was: no harm."""
        async with self._writer.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            if driver is not None:
                await driver.execute_fetchall(f"PRAGMA busy_timeout={CHECKPOINT_MILLISECONDS}")
                await driver.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    @asynccontextmanager
    async def write(self) -> AsyncGenerator[SqliteTransaction]:
        """See ports.store.Store."""
        async with self._lock, self._writer.begin() as connection:
            yield SqliteTransaction(connection)

    async def lane(self, lane: str) -> LaneRecord | None:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return await load_lane(connection, lane)

    async def lanes(self, *, limit: int | None = None, before: str | None = None) -> Sequence[str]:
        """See ports.store.Store."""
        query = select(t.lane.c.id).order_by(t.lane.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(t.lane.c.id < before)
        async with self._reader.connect() as connection:
            return (await connection.execute(query)).scalars().all()

    async def transitions(self, lane: str) -> Sequence[TransitionRow]:
        """See ports.store.Store."""
        c = t.transition.c
        query = select(c.seq, c.from_state, c.to_state, c.reason, c.at).where(c.lane == lane).order_by(c.seq)
        async with self._reader.connect() as connection:
            return [TransitionRow(*row) for row in await connection.execute(query)]

    async def blob(self, name: str) -> bytes | None:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return await connection.scalar(select(t.blob.c.bytes).where(t.blob.c.name == name))

    async def pinned(self, duty: str, slot: str) -> bytes | None:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return await connection.scalar(select(t.pin.c.value).where(t.pin.c.duty == duty, t.pin.c.slot == slot))

    async def tip(self, *, first: bool = False) -> BlockHeader | None:
        """See ports.store.Store."""
        c = t.chain_block.c
        order = c.height if first else c.height.desc()
        query = select(c.height, c.hash, c.time, c.median_time).order_by(order).limit(1)
        async with self._reader.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            return None
        return BlockHeader(Height(row.height), row.hash, UnixTime(row.time), UnixTime(row.median_time))

    async def due(
        self, now: float, limits: Mapping[str, int], full: Mapping[str, Collection[str]] = NOBODY
    ) -> Sequence[Due]:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return await due_duties(connection, now, limits, full)

    async def news(self, limit: int) -> Sequence[News]:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return [News(*row) for row in await connection.execute(NEWS, {"limit": limit})]

    async def unfilled_watches(self) -> Sequence[Search]:
        """See ports.store.Store."""
        c = t.watch.c
        query = select(c.lane, c.keytype, c.key, c.next_height).where(text("backfilled = 0")).order_by(c.next_height)
        async with self._reader.connect() as connection:
            rows = await connection.execute(query)
            return [Search(row.lane, Watch(row.keytype, row.key), Height(row.next_height)) for row in rows]

    async def going_in(self, states: Collection[str]) -> Sequence[str]:
        """See ports.store.Store."""
        c = t.state_row.c
        query = select(c.lane).join(t.lane, t.lane.c.id == c.lane).where(c.state.in_(states))
        async with self._reader.connect() as connection:
            found = await connection.execute(query.where(t.lane.c.quarantined_reason.is_(None)))
            return [row.lane for row in found]

    async def facts_of(self, kind: type[F], key: str, since: UnixTime) -> Sequence[F]:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return await load_facts(connection, kind, key, since)

    async def last_payment(self) -> str | None:
        """See ports.store.Store."""
        async with self._reader.connect() as connection:
            return await last_payment(connection)

    async def last_activity(self, lane: str) -> UnixTime | None:
        """See ports.store.Store."""
        query = select(func.max(t.fact.c.observed_at)).where(t.fact.c.lane == lane)
        async with self._reader.connect() as connection:
            seen = await connection.scalar(query)
        return None if seen is None else UnixTime(seen)

    async def open_duties(self, lane: str) -> Sequence[tuple[str, str, int, str | None]]:
        """See ports.store.Store."""
        c = t.duty.c
        query = select(c.kind, c.id, c.attempts, c.last_error).where(c.lane == lane, c.status.in_(("open", "dead")))
        async with self._reader.connect() as connection:
            return [(row.kind, row.id, row.attempts, row.last_error) for row in await connection.execute(query)]

    async def retire(self, what: Leftover, before: UnixTime, limit: int) -> int:
        """See ports.operating.OperatorReads. Found without the write lock."""
        async with self._reader.connect() as connection:
            keys = await leftovers(connection, what, before, limit)
        if not keys:
            return 0
        async with self._lock, self._writer.begin() as connection:
            return await forget(connection, what, keys)

    @asynccontextmanager
    async def write_connection(self) -> AsyncGenerator[Any]:
        """A raw write transaction under the same lock, for the secret store and the wallet."""
        async with self._lock, self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read_connection(self) -> AsyncGenerator[Any]:
        """A raw read connection."""
        async with self._reader.connect() as connection:
            yield connection


def _engine(path: Path, *, pool_size: int, read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        "sqlite+aiosqlite://",
        async_creator=partial(connect, path),
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        # Who waits for a local file waits for its turn. With a limit, a process that was frozen for longer finds every
        # wait overdue when it goes on, though a connection is free.
        pool_timeout=None,
    )

    @event.listens_for(engine.sync_engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        # busy_timeout comes first: switching the journal mode can already meet a lock.
        pragmas = [f"busy_timeout={BUSY_MILLISECONDS}", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"]
        # The writer alone moves the journal into the database, and cuts it back after a burst.
        own = ["query_only=ON"] if read_only else [f"wal_autocheckpoint={WAL_PAGES}", f"journal_size_limit={WAL_BYTES}"]
        pragmas.extend(own)
        for pragma in pragmas:
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine
