"""doctor, backup, restore and migrate-states over a data directory: what they find, and what they leave alone."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.cli.doctor import files
from coordinator.cli.doctor.report import Verdict
from coordinator.cli.doctor.reservations import promised, reserved
from coordinator.cli.doctor.services import NOTICED_SKEW, Services, clock
from coordinator.domain import facts as f
from coordinator.domain.competitions.states import CollectingEntries
from coordinator.domain.versions import FACTS
from coordinator.engine import codec
from coordinator.ports.bitcoin import Outpoint, Place, Spend, TransactionStatus
from coordinator.ports.clock import MOST_SKEW
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime
from tests.support import lanes as b

SETTINGS = """
network = "regtest"
data_dir = "{data}"
[bitcoin]
rpc_url = "http://127.0.0.1:1"
[lightning]
url = "http://127.0.0.1:2"
macaroon_file = "{data}/macaroon"
[keymeld]
url = "http://127.0.0.1:3"
[oracle]
url = "http://127.0.0.1:4"
"""
PASSPHRASE = Secret(b"a passphrase of a test")
NOW = UnixTime(1_000)


async def _fill(path: Path, seed: Secret) -> None:
    store = await SqliteStore.open(path)
    secrets = SealedSecrets(store, seed)
    terms = b.terms_with({"coordinator_key": secrets.signing_key("nostr").x_only.hex()})
    published = f.Published(terms=terms.to_bytes().decode(), terms_hash=terms.hash.hex())
    async with store.write() as tx:
        await tx.create_lane("lane", codec.encode_state(CollectingEntries(terms_hash="h")), "collecting_entries", NOW)
        await tx.put_facts("lane", [published, b.pinned()], "test", NOW)
        await tx.reserve(f"coin:{b.COIN}", "lane", "funding/1")
    await secrets.put("lane", "ticket/1", Secret(bytes(32)))
    await store.close()


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one competition, made once."""
    data = tmp_path_factory.mktemp("kept") / "data"
    data.mkdir(mode=0o700)
    asyncio.run(_fill(data / "coordinator.db", load_or_create_seed(data / "seed", PASSPHRASE)))
    for name in ("operator.token", "macaroon"):
        (data / name).write_text("x")
        (data / name).chmod(0o600)
    return data


@pytest.fixture
def data(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = Path(shutil.copytree(kept, tmp_path / "data"))
    (tmp_path / "coordinator.toml").write_text(SETTINGS.format(data=directory))
    monkeypatch.setenv("COORDINATOR_PASSPHRASE", PASSPHRASE.reveal().decode())
    return directory


def change(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "coordinator.db")) as connection, connection:
        assert connection.execute(statement).rowcount != 0


def checks(command: Any, *more: str) -> tuple[int, dict[str, tuple[str, str]]]:
    result = command("doctor", "--json", *(more or ("--offline",)))
    found = json.loads(result.stdout)
    assert found["sound"] is (result.exit_code == 0)
    return result.exit_code, {check["name"]: (check["verdict"], check["detail"]) for check in found["checks"]}


class TestDoctor:
    def test_a_sound_directory(self, command: Any, data: Path) -> None:
        code, found = checks(command)
        assert code == 0
        assert {verdict for name, (verdict, _) in found.items() if name not in ("SQLite", "free disk")} == {"ok"}
        assert found.keys() >= {"data directory", "seed", "operator.token", "database", "keys", "secrets", "free disk"}
        assert command("doctor", "--offline").stdout.startswith("ok       settings: ")

    @pytest.mark.parametrize(
        ("break_it", "name", "words"),
        [
            (lambda data: data.chmod(0o755), "data directory", "others"),
            (lambda data: (data / "seed").chmod(0o640), "seed", "mode 640"),
            (lambda data: (data / "operator.token").chmod(0o604), "operator.token", "mode 604"),
            (lambda data: (data / "coordinator.db").chmod(0o644), "coordinator.db", "mode 644"),
            (lambda data: change(data, "UPDATE state_row SET v = 8"), "database", "state lane"),
            (lambda data: change(data, "UPDATE fact SET body = '{'"), "database", "fact lane/p"),
            (lambda data: change(data, "UPDATE alembic_version SET version_num = '0001'"), "database", "0001"),
            (lambda data: change(data, "UPDATE secret SET sealed = zeroblob(60)"), "secrets", "ticket/1"),
            (lambda data: (data / "coordinator.db").write_bytes(b"x" * 5_000), "database", "not a database"),
        ],
    )
    def test_one_thing_wrong_is_named(
        self, command: Any, data: Path, break_it: Callable[[Path], Any], name: str, words: str
    ) -> None:
        break_it(data)
        result = command("doctor", "--offline", "--json")
        failed = {c["name"]: c for c in json.loads(result.stdout)["checks"] if c["verdict"] == "failed"}
        assert result.exit_code == 1
        assert words in failed[name]["detail"]
        assert failed[name]["fix"]

    def test_another_seed_is_not_the_one_of_this_database(self, command: Any, data: Path) -> None:
        (data / "seed").unlink()
        load_or_create_seed(data / "seed", PASSPHRASE)
        code, found = checks(command)
        assert code == 1
        assert found["keys"][0] == found["secrets"][0] == "failed"

    def test_a_wrong_passphrase_and_none(self, command: Any, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COORDINATOR_PASSPHRASE", "another")
        result = command("doctor", "--offline")
        assert result.exit_code == 1
        assert "does not open" in result.stdout
        assert "another" not in result.stdout
        monkeypatch.delenv("COORDINATOR_PASSPHRASE")
        assert "no passphrase is given" in command("doctor", "--offline").stdout

    def test_a_stopped_competition_is_a_warning(self, command: Any, data: Path) -> None:
        change(data, "UPDATE lane SET quarantined_reason = 'contradiction'")
        code, found = checks(command)
        assert (code, found["competition"]) == (0, ("warning", "lane is stopped: contradiction"))

    def test_services_that_do_not_answer_fail_each_on_its_own(
        self, command: Any, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("coordinator.cli.doctor.services.PATIENCE_SECONDS", 0.2)
        code, found = checks(command, "--json")
        assert code == 1
        assert {found[name][0] for name in ("bitcoin", "lightning", "oracle", "keymeld")} == {"failed"}

    def test_before_the_first_start_nothing_is_wrong(self, command: Any, data: Path) -> None:
        shutil.rmtree(data)
        code, found = checks(command)
        assert code == 0
        assert found["database"] == ("skipped", "is not made yet")
        assert not data.exists()

    def test_it_works_beside_a_running_coordinator_and_writes_nothing(self, command: Any, data: Path) -> None:
        store = asyncio.run(SqliteStore.open(data / "coordinator.db"))
        try:
            assert checks(command)[0] == 0
        finally:
            asyncio.run(store.close())

    @pytest.mark.parametrize(
        ("skew", "verdict"),
        [
            (0, Verdict.OK),
            (-NOTICED_SKEW, Verdict.OK),
            (NOTICED_SKEW + 1, Verdict.WARNING),
            (-MOST_SKEW, Verdict.WARNING),
            (MOST_SKEW + 1, Verdict.FAILED),
            (-600, Verdict.FAILED),
        ],
    )
    def test_clock(self, skew: int, verdict: Verdict) -> None:
        assert clock(skew).verdict is verdict

    def test_a_key_that_is_not_the_first_one_is_named_in_what_accepts_it(self) -> None:
        probe = Services(None, (), (), {"oracle": frozenset({"02aa"})})  # type: ignore[arg-type]
        assert probe._as_at_first("oracle", "02aa") is None
        found = probe._as_at_first("oracle", "02bb")
        assert found is not None
        assert (found.verdict, found.fix.endswith('accept-key "oracle" 02bb')) == (Verdict.FAILED, True)

    @pytest.mark.parametrize(
        ("free", "verdict"),
        [
            (files.LEAST_FREE - 1, Verdict.FAILED),
            (files.LEAST_FREE, Verdict.WARNING),
            (files.WANTED_FREE, Verdict.OK),
        ],
    )
    def test_room(self, data: Path, monkeypatch: pytest.MonkeyPatch, free: int, verdict: Verdict) -> None:
        monkeypatch.setattr(files.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(free, 0, free))  # type: ignore[attr-defined]
        assert [check.verdict for check in files.directory(data)] == [Verdict.OK, verdict]


class OneCoin:
    """A node that knows one coin, and perhaps who spent it."""

    def __init__(self, place: Place, spent_by: str | None = None) -> None:
        self.status = TransactionStatus(place)
        self.spent_by = spent_by

    async def transaction_status(self, txid: str) -> TransactionStatus:
        return self.status

    async def spend_of(self, outpoint: Outpoint) -> Spend | None:
        return None if self.spent_by is None else Spend(self.spent_by, self.status)


@pytest.mark.parametrize(
    ("node", "verdict"),
    [
        (OneCoin(Place.CHAIN), Verdict.OK),
        (OneCoin(Place.CHAIN, b.FUNDING), Verdict.OK),
        (OneCoin(Place.CHAIN, b.STRANGER), Verdict.FAILED),
        (OneCoin(Place.UNKNOWN), Verdict.FAILED),
    ],
)
async def test_reserved_coins_are_there_or_spent_by_their_competition(data: Path, node: Any, verdict: Verdict) -> None:
    coins = promised(data / "coordinator.db")
    assert coins == [(b.COIN, frozenset({b.FUNDING}))]
    assert (await reserved(node, coins)).verdict is verdict


class TestBackup:
    def test_a_restored_coordinator_is_stopped_until_somebody_looks(
        self, command: Any, data: Path, tmp_path: Path
    ) -> None:
        made = command("backup", tmp_path / "b")
        assert made.exit_code == 0, made.output
        assert "sound" in command("restore", tmp_path / "b", "--verify").stdout
        refused = command("restore", tmp_path / "b")
        assert (refused.exit_code, "already" in refused.stderr) == (2, True)
        shutil.rmtree(data)
        brought = command("restore", tmp_path / "b")
        assert brought.exit_code == 0, brought.output
        assert "1 competitions are stopped, new money is frozen" in brought.stdout
        code, found = checks(command)
        assert (code, found["competition"][0]) == (0, "warning")

    def test_verifying_touches_nothing_and_needs_no_settings(self, command: Any, data: Path, tmp_path: Path) -> None:
        command("backup", tmp_path / "b")
        (tmp_path / "coordinator.toml").unlink()
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "b").iterdir()}
        assert command("restore", tmp_path / "b", "--verify").exit_code == 0
        assert {path: path.stat().st_mtime_ns for path in (tmp_path / "b").iterdir()} == before
        (tmp_path / "b" / "seed").write_bytes(b"?")
        assert command("restore", tmp_path / "b", "--verify").exit_code == 2


class TestMigrateStates:
    def test_rows_are_counted_and_a_difference_ends_with_1(self, command: Any, data: Path) -> None:
        sound = command("migrate-states", "--verify")
        assert sound.exit_code == 0, sound.output
        assert sound.stdout == "1 state rows, 2 fact rows; 0 of earlier versions, 0 differences\n"
        change(data, 'UPDATE state_row SET data = \'{"state":"collecting_entries","terms_hash":"h","x":1}\'')
        different = command("migrate-states", "--verify")
        assert different.exit_code == 1
        assert "state lane: would be written differently" in different.stderr

    def test_a_row_that_nothing_casts_up_is_named_before_anything_is_written(
        self, command: Any, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(f.Published, "version", 2)
        before = (data / "coordinator.db").read_bytes()
        result = command("migrate-states")
        assert result.exit_code == 1
        assert "cannot be cast up from version 1" in result.stderr
        assert (data / "coordinator.db").read_bytes() == before

    def test_it_writes_rows_again_unless_the_database_is_in_use(
        self, command: Any, data: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(f.Published, "version", 2)
        monkeypatch.setattr(FACTS, "_upcasters", {("published", 1): lambda row: row})
        store = asyncio.run(SqliteStore.open(data / "coordinator.db"))
        try:
            refused = command("migrate-states")
        finally:
            asyncio.run(store.close())
        assert (refused.exit_code, "in use" in refused.stderr) == (2, True)
        written = command("migrate-states").stdout.splitlines()
        assert written[0].endswith("1 of earlier versions, 0 differences")
        assert written[1:] == [
            "1 rows written again",
            "1 state rows, 2 fact rows; 0 of earlier versions, 0 differences",
        ]
