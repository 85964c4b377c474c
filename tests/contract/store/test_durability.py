"""The Store port: one process, and what a killed one leaves."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.ports.store import Store
from coordinator_core.errors import InvalidInput
from tests.support.store_rows import NOW, STATE

ROOT = Path(__file__).parents[3]
WRITER = """
import asyncio, sys
from pathlib import Path
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.units import UnixTime

async def main():
    store = await SqliteStore.open(Path(sys.argv[1]))
    async with store.write() as tx:
        await tx.create_lane("lane", b"{}", "created", UnixTime(1))
    wanted = {}
    for n in range(21):
        wanted[f"lane/x/{n}"] = ("chain", "x", b"{}")
        async with store.write() as tx:
            await tx.pin("duty", str(n), b"value")
            await tx.want_duties("lane", wanted, 0.0)
            if n == 20:
                print("half", flush=True)
                await asyncio.Event().wait()
        print(n, flush=True)

asyncio.run(main())
"""


async def test_second_process_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="in use by another process"):
        await SqliteStore.open(tmp_path / "coordinator.db")


async def test_profile_of_the_database(store: SqliteStore) -> None:
    async with store.write_connection() as connection:
        answers = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert answers == ["wal", 2, 1]
    async with store.read_connection() as connection:
        assert (await connection.exec_driver_sql("PRAGMA query_only")).scalar() == 1


async def test_reopened_database_has_everything(tmp_path: Path) -> None:
    path = tmp_path / "again.db"
    first = await SqliteStore.open(path)
    async with first.write() as tx:
        await tx.create_lane("lane", STATE, "created", NOW)
        await tx.pin("duty", "slot", b"value")
    await first.close()
    second = await SqliteStore.open(path)
    assert await second.lanes() == ["lane"]
    assert await second.pinned("duty", "slot") == b"value"
    await second.close()


def test_killed_process_loses_no_commit_and_leaves_no_half(tmp_path: Path) -> None:
    """Every number was printed after its commit; the process dies (-9) inside the transaction after."""
    path = tmp_path / "killed.db"
    child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert child.stdout is not None
    acknowledged = [line.strip() for line in iter(child.stdout.readline, "half\n")]
    os.kill(child.pid, signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    child.stdout.close()
    assert acknowledged == [str(n) for n in range(20)]
    connection = sqlite3.connect(path)
    try:
        pins = connection.execute("SELECT slot, value FROM pin ORDER BY CAST(slot AS INTEGER)").fetchall()
        duties = connection.execute("SELECT count(*) FROM duty").fetchone()
        checked = connection.execute("PRAGMA integrity_check").fetchone()
    finally:
        connection.close()
    assert pins == [(str(n), b"value") for n in range(20)]
    assert (duties, checked) == ((20,), ("ok",))
