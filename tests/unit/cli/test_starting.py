"""What `coordinator run` does not start on: one sentence, exit code 78, and nothing is served."""

from __future__ import annotations

import asyncio
import email.utils
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.cli.doctor import clock
from coordinator.cli.doctor.database import first_keys
from coordinator.cli.doctor.report import Verdict
from coordinator.cli.starting import EXIT_REFUSED, StartRefused, require_fit
from coordinator.config.settings import load_settings
from coordinator.domain import facts as f
from coordinator.domain.competitions.states import CollectingEntries
from coordinator.domain.duties import PayPrize
from coordinator.engine import codec
from coordinator.engine.components import HOUSE
from coordinator.ports.bitcoin import Tip
from coordinator.ports.operating import Act
from coordinator_core.secret import Secret
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b

PASSPHRASE = Secret(b"a passphrase of a test")
SETTINGS = """
network = "regtest"
data_dir = "{data}"
{more}
[bitcoin]
rpc_url = "http://127.0.0.1:1"
user = "u"
[lightning]
url = "http://127.0.0.1:1"
macaroon_file = "{data}/macaroon"
[keymeld]
url = "http://127.0.0.1:1"
[oracle]
url = "http://127.0.0.1:1"
"""
CHAIN = 'domain_clock = "chain"'


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("kept") / "data"
    data.mkdir(mode=0o700)
    asyncio.run(_fill(data))
    return data


async def _fill(data: Path) -> None:
    seed = load_or_create_seed(data / "seed", PASSPHRASE)
    store = await SqliteStore.open(data / "coordinator.db")
    secrets = SealedSecrets(store, seed)
    terms = b.terms_with({"coordinator_key": secrets.signing_key("nostr").x_only.hex()})
    published = f.Published(terms=terms.to_bytes().decode(), terms_hash=terms.hash.hex())
    for lane in ("one", "two"):
        async with store.write() as tx:
            state = codec.encode_state(CollectingEntries(terms_hash="h"))
            await tx.create_lane(lane, state, "collecting_entries", UnixTime(1))
            await tx.put_facts(lane, [published, *b.seats()], "test", UnixTime(1))
    async with store.write() as tx:
        await tx.pin(HOUSE, "oracle", b"02aa")
        act = Act(dkey="1", who="operator", act="accept-key", subject="oracle=02bb", reason="theirs")
        await tx.record_act(act, b"{}", UnixTime(1))
    await store.close()


@pytest.fixture
def data(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import shutil

    monkeypatch.setenv("COORDINATOR_BITCOIN_RPC_PASSWORD", "p")
    monkeypatch.setenv("COORDINATOR_PASSPHRASE", PASSPHRASE.reveal().decode())
    copied = Path(shutil.copytree(kept, tmp_path / "data"))
    (tmp_path / "coordinator.toml").write_text(SETTINGS.format(data=copied, more=CHAIN))
    return copied


def change(data: Path, statement: str) -> None:
    with closing(sqlite3.connect(data / "coordinator.db")) as connection, connection:
        assert connection.execute(statement).rowcount != 0


async def fit(data: Path, **options: Any) -> None:
    settings = load_settings(data.parent / "coordinator.toml")
    await require_fit(settings, PASSPHRASE, **options)


def stopped(data: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(data / "coordinator.db")) as connection:
        return connection.execute("SELECT id, quarantined_reason FROM lane WHERE quarantined_reason NOTNULL").fetchall()


async def test_a_sound_directory_with_every_service_away_is_one_to_start_on(data: Path) -> None:
    await fit(data)
    assert stopped(data) == []


async def test_so_is_one_that_is_not_there_yet(data: Path) -> None:
    (data / "coordinator.db").unlink()
    await fit(data)
    assert not (data / "coordinator.db").exists(), "looking makes none"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE fact SET body = '{' WHERE lane = 'one' AND kind = 'ticket'", "fact one/ticket/entry"),
        ("UPDATE fact SET body = 7 WHERE lane = 'one' AND kind = 'ticket'", "fact one/ticket/entry"),
        ("UPDATE state_row SET data = '{}' WHERE lane = 'one'", "state one"),
        ("UPDATE fact SET v = 9 WHERE lane = 'one' AND kind = 'published'", "run the later release"),
        ("UPDATE fact SET kind = 'unheard_of' WHERE lane = 'one' AND kind = 'published'", "run the later release"),
        ("UPDATE alembic_version SET version_num = '9999'", "revision 9999, which this release does not know"),
    ],
)  # fmt: skip
async def test_a_row_or_schema_that_cannot_be_read_is_named(data: Path, statement: str, words: str) -> None:
    change(data, statement)
    with pytest.raises(StartRefused, match=words):
        await fit(data)


async def test_a_damaged_row_stops_its_competition_alone_where_that_was_asked_for(data: Path) -> None:
    change(data, "UPDATE fact SET body = '{' WHERE lane = 'one' AND kind = 'ticket' AND key = 'entry-1'")
    await fit(data, stop_unreadable=True)
    [(lane, reason)] = stopped(data)
    assert (lane, reason.startswith("fact one/ticket/entry-1: ")) == ("one", True)
    # From then on it is known, and no reason to refuse.
    await fit(data)


async def test_rows_of_a_later_release_are_never_guessed_at(data: Path) -> None:
    change(data, "UPDATE state_row SET v = 9 WHERE lane = 'one'")
    with pytest.raises(StartRefused, match="run the later release"):
        await fit(data, stop_unreadable=True)
    assert stopped(data) == []


async def test_a_competition_that_is_over_keeps_nobody_from_starting(data: Path) -> None:
    change(data, "UPDATE fact SET body = '{' WHERE lane = 'one'")
    change(data, "UPDATE lane SET terminal_at = 5 WHERE id = 'one'")
    await fit(data)
    assert stopped(data) == []


async def test_one_that_is_over_and_still_owes_somebody_does(data: Path) -> None:
    store = await SqliteStore.open(data / "coordinator.db")
    duty = PayPrize(entry_id="entry-1", payment_hash="aa" * 32, cltv_limit=0)
    wanted = {duty.id("one"): (duty.channel.value, duty.kind(), codec.encode_duty(duty))}
    async with store.write() as tx:
        await tx.want_duties("one", wanted, 5.0)
    await store.close()
    change(data, "UPDATE fact SET body = '{' WHERE lane = 'one' AND kind = 'ticket'")
    change(data, "UPDATE lane SET terminal_at = 5 WHERE id = 'one'")
    with pytest.raises(StartRefused, match="fact one/ticket/entry"):
        await fit(data)


async def test_another_seed_is_not_the_one_of_this_database(data: Path) -> None:
    (data / "seed").unlink()
    load_or_create_seed(data / "seed", PASSPHRASE)
    with pytest.raises(StartRefused, match="put back the seed"):
        await fit(data)


def test_the_command_ends_with_78_and_one_sentence(command: Any, data: Path) -> None:
    change(data, "UPDATE state_row SET data = '{}' WHERE lane = 'one'")
    result = command("run")
    assert result.exit_code == EXIT_REFUSED == 78
    [line] = [line for line in result.stderr.splitlines() if "cannot be read" in line]
    assert line.startswith("coordinator: 1 rows cannot be read: state one: ")
    assert "--stop-unreadable" in line


class TestClock:
    @pytest.mark.parametrize(
        ("skews", "verdict"),
        [
            ({}, Verdict.SKIPPED),
            ({"oracle": 5, "keymeld": -5}, Verdict.OK),
            ({"oracle": 6}, Verdict.WARNING),
            # One clock against ours: nobody knows whose is wrong.
            ({"oracle": 600}, Verdict.WARNING),
            ({"oracle": 600, "keymeld": 0}, Verdict.WARNING),
            ({"oracle": 600, "keymeld": 590}, Verdict.FAILED),
            ({"oracle": 600, "keymeld": 0, "bitcoin": 600}, Verdict.FAILED),
            ({"oracle": 600, "keymeld": 0, "bitcoin": 600, "lightning": 0}, Verdict.WARNING),
            ({"oracle": 61, "keymeld": -61}, Verdict.FAILED),
        ],
    )
    def test_ours_is_wrong_where_more_say_so_than_not(self, skews: dict[str, int], verdict: Verdict) -> None:
        assert clock.judge(skews).verdict is verdict

    async def test_a_clock_that_two_services_find_wrong_refuses(self, data: Path, monkeypatch: Any) -> None:
        async def skews(_: object) -> dict[str, int]:
            return {"oracle": 600, "keymeld": 600}

        monkeypatch.setattr(clock, "skews", skews)
        with pytest.raises(StartRefused, match=r"oracle is 600 s ahead, keymeld is 600 s ahead.*time server"):
            await fit(data)

    async def test_services_tell_the_time_by_the_date_of_an_answer(self, data: Path) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            date = email.utils.formatdate(time.time() + 600, usegmt=True)
            writer.write(f"HTTP/1.1 404 Not Found\r\nDate: {date}\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        settings = data.parent / "coordinator.toml"
        settings.write_text(settings.read_text().replace("127.0.0.1:1", f"127.0.0.1:{port}", 1))
        found = await clock.skews(load_settings(settings))
        server.close()
        assert found.keys() == {"bitcoin"}
        assert 595 <= found["bitcoin"] <= 601

    @pytest.mark.parametrize(("now", "verdict"), [(999, Verdict.FAILED), (1_000, Verdict.OK)])
    async def test_blocks_are_made_after_the_median_of_those_before(self, now: int, verdict: Verdict) -> None:
        class Node:
            async def tip(self) -> Tip:
                return Tip(Height(1), "aa" * 32, UnixTime(2_000), UnixTime(1_000))

        assert (await clock.behind_the_chain(Node(), UnixTime(now))).verdict is verdict  # type: ignore[arg-type]


def test_first_keys_and_accepted_ones_count(data: Path) -> None:
    assert first_keys(data / "coordinator.db") == {"oracle": frozenset({"02aa", "02bb"})}
