"""Backups: of one instant, whole or not there, and refused when anything in them is not as it was; rows looked at."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from coordinator.adapters.store import backup as backup_module
from coordinator.adapters.store.backup import MANIFEST, make_backup, restore_backup, verify_backup
from coordinator.adapters.store.inspection import inspect_database
from coordinator.adapters.store.rewriting import rewrite
from coordinator.adapters.store.schema import newest_revision
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.domain import facts as f
from coordinator.domain.competitions.states import Created
from coordinator.domain.versions import FACTS
from coordinator.engine import codec
from coordinator_core.errors import InvalidInput
from coordinator_core.units import UnixTime
from tests.support import lanes as b

NAMES = ("coordinator.db", "seed")
NOW = UnixTime(1_000)


def using(path: Path, work: Callable[[SqliteStore], Awaitable[Any]]) -> Any:
    async def once() -> Any:
        store = await SqliteStore.open(path)
        try:
            return await work(store)
        finally:
            await store.close()

    return asyncio.run(once())


async def fill(store: SqliteStore) -> None:
    async with store.write() as tx:
        await tx.create_lane("lane", codec.encode_state(Created()), "created", NOW)
        await tx.put_facts("lane", [b.ticket("entry-1"), f.CancelAsked(by="o", reason="r")], "test", NOW)
        args = b'{"kind":"ln.watch_invoice","payment_hash":"h"}'
        await tx.want_duties("lane", {"lane/ln.watch_invoice/h": ("watch", "ln.watch_invoice", args)}, 0.0)


@pytest.fixture
def data(new_database: Path, tmp_path: Path) -> Path:
    """A data directory with a competition and a seed."""
    directory = tmp_path / "data"
    directory.mkdir()
    shutil.move(new_database, directory / "coordinator.db")
    (directory / "seed").write_bytes(b"sealed")
    using(directory / "coordinator.db", fill)
    return directory


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection, connection:
        yield connection


def change(path: Path, statement: str) -> None:
    with opened(path) as connection:
        assert connection.execute(statement).rowcount != 0


class TestInspection:
    def test_every_row_is_read(self, data: Path) -> None:
        found = inspect_database(data / "coordinator.db")
        assert found.findings == ()
        assert (found.revision, found.rows, found.earlier) == (
            newest_revision(),
            {"state": 1, "fact": 2, "duty": 1},
            0,
        )

    @pytest.mark.parametrize(
        ("statement", "where", "reason"),
        [
            ('UPDATE state_row SET data = \'{"state":"unheard"}\'', "state lane", "Invalid value 'unheard'"),
            ("UPDATE state_row SET v = 2", "state lane", "version 2, this release knows 1"),
            ("UPDATE fact SET body = '{' WHERE kind = 'ticket'", "fact lane/ticket/entry-1", "truncated"),
            ("UPDATE fact SET kind = 'gone' WHERE kind = 'ticket'", "fact lane/gone/entry-1", "not known"),
            ('UPDATE duty SET args = \'{"kind":"ln.cancel","payment_hash":"h"}\'', "duty", "stored as"),
            (
                'UPDATE fact SET body = \'{"kind":"cancel_asked","by":"o","reason":"r"}\' '
                "WHERE kind = 'cancel_asked'",
                "fact lane/cancel_asked/o",
                "written differently",
            ),
            ("UPDATE alembic_version SET version_num = '0001'", "schema", "revision 0001"),
            ("UPDATE fact SET lane = 'nowhere' WHERE kind = 'ticket'", "fact", "refers to a row of lane"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_row(self, data: Path, statement: str, where: str, reason: str) -> None:
        change(data / "coordinator.db", statement)
        [finding] = inspect_database(data / "coordinator.db").findings
        assert finding.where.startswith(where)
        assert reason in finding.reason

    def test_a_damaged_page_is_found(self, data: Path) -> None:
        path = data / "coordinator.db"
        image = bytearray(path.read_bytes())
        for start in range(4_096, len(image), 4_096):
            image[start : start + 8] = b"\xff" * 8
        path.write_bytes(bytes(image))
        assert _verdict(path) in ("database", "coordinator.db")

    def test_another_file_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x.db").write_bytes(b"no database" * 1_000)
        for path in (tmp_path / "x.db", tmp_path / "missing.db"):
            with pytest.raises(InvalidInput, match=path.name):
                inspect_database(path)

    def test_it_works_beside_a_running_coordinator_and_writes_nothing(self, data: Path) -> None:
        async def beside(store: SqliteStore) -> int:
            async with store.write() as tx:
                await tx.put_facts("lane", [b.attested(1)], "test", NOW)
            return inspect_database(data / "coordinator.db").rows["fact"]

        assert using(data / "coordinator.db", beside) == 3


class TestBackup:
    def test_there_and_back(self, data: Path, tmp_path: Path) -> None:
        made = make_backup(data, tmp_path / "b", NAMES, NOW)
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "b").iterdir()} == {0o600}
        assert (tmp_path / "b").stat().st_mode & 0o777 == 0o700
        assert verify_backup(tmp_path / "b")[0] == made
        assert restore_backup(tmp_path / "b", tmp_path / "new") == made
        assert (tmp_path / "new" / "seed").read_bytes() == b"sealed"
        with opened(data / "coordinator.db") as one, opened(tmp_path / "new" / "coordinator.db") as other:
            assert list(one.iterdump()) == list(other.iterdump())

    def test_it_is_of_one_instant_while_others_write(self, data: Path, tmp_path: Path) -> None:
        """Each transaction writes into two tables; no backup has one of them alone."""

        async def run(store: SqliteStore) -> list[Path]:
            stop = False

            async def writer() -> None:
                number = 0
                while not stop:
                    async with store.write() as tx:
                        await tx.put_blob(f"{number}".encode() * 200)
                        await tx.pin("pair", f"{number}", b"x" * 900)
                    number += 1

            writing = asyncio.create_task(writer())
            made = [tmp_path / f"b{n}" for n in range(4)]
            for target in made:
                await asyncio.to_thread(make_backup, data, target, NAMES, NOW)
            stop = True
            await writing
            return made

        counts: list[int] = []
        for target in using(data / "coordinator.db", run):
            with opened(target / "coordinator.db") as connection:
                (pins,) = connection.execute("SELECT count(*) FROM pin").fetchone()
                (blobs,) = connection.execute("SELECT count(*) FROM blob").fetchone()
            assert pins == blobs
            counts.append(pins)
        assert counts == sorted(counts)
        assert counts[-1] > 0

    def test_nothing_is_left_of_a_backup_that_failed(self, data: Path, tmp_path: Path, monkeypatch: Any) -> None:
        (data / "seed").unlink()
        with pytest.raises(InvalidInput, match="seed: is not there"):
            make_backup(data, tmp_path / "b", NAMES, NOW)
        (data / "seed").write_bytes(b"sealed")
        change(data / "coordinator.db", "UPDATE state_row SET v = 9")
        with pytest.raises(InvalidInput, match="version 9"):
            make_backup(data, tmp_path / "b", NAMES, NOW)
        assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".b", "b"))] == []

    def test_nothing_is_written_over(self, data: Path, tmp_path: Path) -> None:
        make_backup(data, tmp_path / "b", NAMES, NOW)
        with pytest.raises(InvalidInput, match="exists already"):
            make_backup(data, tmp_path / "b", NAMES, NOW)
        with pytest.raises(InvalidInput, match=r"has coordinator\.db already"):
            restore_backup(tmp_path / "b", data)
        (tmp_path / "half").mkdir()
        (tmp_path / "half" / "seed").write_bytes(b"another")
        with pytest.raises(InvalidInput, match="has seed already"):
            restore_backup(tmp_path / "b", tmp_path / "half")
        assert (tmp_path / "half" / "seed").read_bytes() == b"another"

    def test_what_is_not_as_it_was_is_refused_by_name(self, data: Path, tmp_path: Path) -> None:
        target = tmp_path / "b"
        make_backup(data, target, NAMES, NOW)
        seed = (target / "seed").read_bytes()
        (target / "seed").write_bytes(b"other!")
        with pytest.raises(InvalidInput, match="seed: is not what was backed up"):
            restore_backup(target, tmp_path / "new")
        (target / "seed").unlink()
        with pytest.raises(InvalidInput, match="seed: is missing"):
            verify_backup(target)
        (target / "seed").write_bytes(seed)
        change(target / "coordinator.db", "UPDATE lane SET rev = 5")
        with pytest.raises(InvalidInput, match=r"coordinator\.db: is not what was backed up"):
            verify_backup(target)
        assert not (tmp_path / "new").exists()

    @pytest.mark.parametrize(
        "manifest",
        [
            b"",
            b"[]",
            b'{"format":2,"made_at":1,"revision":"0001","files":{"coordinator.db":"00"}}',
            b'{"format":1,"made_at":1,"revision":"0001","files":{}}',
            b'{"format":1,"made_at":1,"revision":"0001","files":{"../seed":"00"}}',
            None,
        ],
    )
    def test_a_manifest_that_is_none_is_refused(self, data: Path, tmp_path: Path, manifest: bytes | None) -> None:
        make_backup(data, tmp_path / "b", NAMES, NOW)
        if manifest is None:
            (tmp_path / "b" / MANIFEST).unlink()
        else:
            (tmp_path / "b" / MANIFEST).write_bytes(manifest)
        with pytest.raises(InvalidInput):
            restore_backup(tmp_path / "b", tmp_path / "new")

    def test_rows_are_read_before_a_backup_counts_as_one(self, data: Path, tmp_path: Path, monkeypatch: Any) -> None:
        make_backup(data, tmp_path / "b", NAMES, NOW)
        change(tmp_path / "b" / "coordinator.db", "UPDATE state_row SET v = 9")
        manifest = json.loads((tmp_path / "b" / MANIFEST).read_bytes())
        manifest["files"]["coordinator.db"] = backup_module._sha256(tmp_path / "b" / "coordinator.db")
        (tmp_path / "b" / MANIFEST).write_text(json.dumps(manifest))
        with pytest.raises(InvalidInput, match="version 9"):
            verify_backup(tmp_path / "b")


class TestRewriting:
    def test_rows_of_earlier_versions_are_written_again_and_others_left_alone(
        self, data: Path, monkeypatch: Any
    ) -> None:
        path = data / "coordinator.db"
        before = '{"kind":"cancel_asked","who":"o","reason":"r"}'
        change(path, f"UPDATE fact SET body = '{before}' WHERE kind = 'cancel_asked'")
        monkeypatch.setattr(f.CancelAsked, "version", 2)
        rename = {("cancel_asked", 1): _named_by}
        monkeypatch.setattr(FACTS, "_upcasters", rename)
        assert inspect_database(path).earlier == 1
        assert using(path, rewrite) == 1
        with opened(path) as connection:
            rows = connection.execute("SELECT v, body FROM fact WHERE kind = 'cancel_asked'").fetchall()
        assert [(v, msgspec.json.decode(body)) for v, body in rows] == [
            (2, {"kind": "cancel_asked", "by": "o", "reason": "r", "is_owner": False})
        ]
        found = inspect_database(path)
        assert (found.earlier, found.findings) == (0, ())
        assert using(path, rewrite) == 0


def _named_by(row: dict[str, Any]) -> dict[str, Any]:
    return {"kind": row["kind"], "by": row["who"], "reason": row["reason"], "is_owner": False}


def _verdict(path: Path) -> str:
    """What is named as damaged: SQLite finds it when it reads the page, or when it checks it."""
    try:
        return inspect_database(path).findings[0].where
    except InvalidInput as refused:
        return refused.field
