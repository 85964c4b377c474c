"""The verdict can fail: each rule against books in which it was broken."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import coordinator
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut
from coordinator_core.units import Sats
from tests.harness import rules
from tests.harness.chaos import STALE
from tests.harness.ledger import SETTLE, Effect, Ledger
from tests.harness.lives import Counts, Termination
from tests.harness.outside import Block, LightningBooks, Records
from tests.harness.recording import Note, Recording
from tests.harness.rules import Pinned
from tests.harness.verdict import Row
from tests.harness.wave import Contest, Fate

PREIMAGE = bytes(32)
HASH = hashlib.sha256(PREIMAGE).hexdigest()
LOGGED = re.compile(r'log\.(?:warning|error|exception|critical)\(\s*"([^"]+)"')
FUNDING_SCRIPT = b"\x51\x20" + bytes(32)


class Player:
    def __init__(self, entry: str = "e1", ticket: str = HASH) -> None:
        self.entry_id, self.ticket_hash, self.payout_request = entry, ticket, ""


class Member:
    ticket_hash = bytes.fromhex(HASH)


class Parameters:
    players = (Member(),)


class FundingOutput:
    script_pubkey = FUNDING_SCRIPT


class FakeContract:
    funding_output = FundingOutput()
    parameters = Parameters()


def contest(state: str = "completed", fate: Fate = Fate.PAID) -> Contest:
    made = Contest(fate, 1, "c1", state=state)
    made.players = [Player()]  # type: ignore[list-item]
    return made


def pinned(attempt: int = 1) -> Pinned:
    return Pinned("c1", attempt, FakeContract())  # type: ignore[arg-type]


def transaction(spends: int, script: bytes = FUNDING_SCRIPT) -> Transaction:
    return Transaction((TxIn(OutPoint(bytes([spends]) * 32, 0), 0),), (TxOut(Sats(1_000), script),))


def block(height: int, *transactions: Transaction) -> Block:
    return Block(height, transactions)


async def no_height() -> int:
    return 0


def ledger(*heights: int) -> Ledger:
    body = {"preimage": base64.b64encode(PREIMAGE).decode()}
    return Ledger(no_height, [Effect(SETTLE, body, height) for height in heights])


@pytest.fixture
def records(tmp_path: Path) -> Records:
    """The tables that rules read, empty."""
    path = tmp_path / "coordinator.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            "CREATE TABLE fact (lane, kind, body); CREATE TABLE reservation (resource, lane);"
            "CREATE TABLE duty (lane, kind, attempts, last_error, status);"
            "CREATE TABLE lane (id, rev, quarantined_reason); CREATE TABLE state_row (lane, rev);"
            "CREATE TABLE transition (lane);"
        )
    return Records(path)


def write(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def fact(records: Records, kind: str, **body: Any) -> None:
    write(records.path, "INSERT INTO fact VALUES ('c1', ?, ?)", kind, json.dumps(body))


def test_a_ticket_settled_before_its_funding() -> None:
    funded = [block(5, transaction(1))]
    assert list(rules.settle_order([contest()], ledger(5), [pinned()], funded)) == []
    assert list(rules.settle_order([contest()], ledger(4), [pinned()], funded))
    assert list(rules.settle_order([contest()], ledger(5), [pinned()], []))
    assert list(rules.settle_order([], ledger(5), [pinned()], funded))


def test_a_competition_funded_twice() -> None:
    once, again = block(5, transaction(1)), block(6, transaction(2))
    assert list(rules.fundings([contest()], [pinned()], [once])) == []
    found = list(rules.fundings([contest()], [pinned(), pinned(2)], [once, again]))
    assert any("2 times" in text for text in found)
    assert any("2 funded contracts" in text for text in found)
    assert list(rules.fundings([contest()], [pinned()], []))
    assert list(rules.fundings([contest("cancelled", Fate.UNDERFILLED)], [pinned()], [once]))


def test_a_transaction_that_was_never_written_down(records: Records) -> None:
    sent = transaction(1, b"\x51")
    assert list(rules.transactions(records, [], [block(5, sent)], b"faucet"))
    fact(records, "built", txid=sent.txid[::-1].hex())
    assert list(rules.transactions(records, [], [block(5, sent)], b"faucet")) == []


def lightning(state: str, parts: int) -> LightningBooks:
    encoded = base64.b64encode(bytes.fromhex(HASH)).decode()
    invoice = {"node": "coordinator", "payment_hash": encoded, "state": state}
    payment = {"payer": "coordinator", "payment_hash": encoded, "attempts": [str(n) for n in range(parts)]}
    return LightningBooks([invoice], [payment], {str(n): {"status": "SUCCEEDED"} for n in range(parts)})


@pytest.mark.parametrize(
    ("fate", "state", "right"),
    [
        (Fate.PAID, "SETTLED", True),
        (Fate.PAID, "CANCELED", False),
        (Fate.PAID, "ACCEPTED", False),
        (Fate.CANCELLED, "CANCELED", True),
        (Fate.CANCELLED, "SETTLED", False),
        (Fate.UNDERFILLED, "OPEN", False),
    ],
)
def test_tickets(fate: Fate, state: str, right: bool) -> None:
    assert (list(rules.tickets([contest(fate=fate)], lightning(state, 0))) == []) is right


def test_a_hash_paid_twice_or_to_nobody() -> None:
    assert any("2 times" in text for text in rules.payments([contest()], lightning("SETTLED", 2)))
    assert any("no prize" in text for text in rules.payments([contest()], lightning("SETTLED", 1)))
    assert list(rules.payments([contest()], lightning("SETTLED", 0))) == []


def test_prizes_that_nobody_heard_of() -> None:
    one = contest()
    assert list(rules.prizes([one]))
    one.results = {"e1": "lost"}
    assert list(rules.prizes([one]))
    one.results = {"e1": "PAID"}
    assert list(rules.prizes([one])) == []


def test_a_competition_that_did_not_end_or_keeps_a_coin(records: Records) -> None:
    assert list(rules.ended([contest()], records, [])) == []
    assert list(rules.ended([contest("funding_broadcasted")], records, []))
    write(records.path, "INSERT INTO reservation VALUES (?, 'c1')", f"coin:{'01' * 32}:0")
    assert list(rules.ended([contest()], records, []))
    assert list(rules.ended([contest()], records, [block(5, transaction(1))])) == []


def test_a_session_that_was_never_written_down(records: Records, tmp_path: Path) -> None:
    keymeld = tmp_path / "gateway.sqlite"
    with closing(sqlite3.connect(keymeld)) as connection, connection:
        connection.executescript(
            "CREATE TABLE keygen (id, initialization); CREATE TABLE signing (id);"
            "INSERT INTO keygen VALUES ('k1', 'x'); INSERT INTO signing VALUES ('s1');"
        )
    assert len(list(rules.sessions(records, keymeld))) == 2
    fact(records, "session_open", session_id="k1", attempt=1)
    fact(records, "batches_open", batches=[{"session_id": "s1"}])
    assert list(rules.sessions(records, keymeld)) == []
    fact(records, "session_open", session_id="k2", attempt=1)
    assert any("2 keygen sessions" in text for text in rules.sessions(records, keymeld))


def test_a_database_that_lost_a_transition_or_stopped_a_lane(records: Records) -> None:
    write(records.path, "INSERT INTO lane VALUES ('c1', 1, NULL)")
    write(records.path, "INSERT INTO state_row VALUES ('c1', 1)")
    assert list(rules.database(records))
    write(records.path, "INSERT INTO transition VALUES ('c1')")
    assert list(rules.database(records)) == []
    write(records.path, "UPDATE lane SET quarantined_reason = 'broken'")
    assert list(rules.database(records))


@pytest.mark.parametrize(
    ("counts", "right"),
    [
        (Counts(terminations=[Termination(1.0, 0)]), True),
        (Counts(terminations=[Termination(1.0, 75)]), False),
        (Counts(terminations=[Termination(16.0, 0)]), False),
        (Counts(terminations=[Termination(1.0, 0, leases=1)]), False),
        (Counts(terminations=[Termination(0.1, -15, was_ready=False)]), True),
        (Counts(terminations=[Termination(0.1, -15)]), False),
        (Counts(unexpected=["life 3 ended with 70"]), False),
    ],
)
def test_lives_that_ended_otherwise(counts: Counts, right: bool) -> None:
    assert (list(rules.lives(counts)) == []) is right


def test_a_life_may_be_cut_off_where_services_hang() -> None:
    counts = Counts(terminations=[Termination(12.5, 75)])
    assert list(rules.lives(counts))
    assert not list(rules.lives(counts, faults=True))
    assert list(rules.lives(Counts(terminations=[Termination(12.5, 70)]), faults=True))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ('{"event": "transition"}', True),
        ('{"duty": "x", "event": "duty raised"}', False),
        ('{"event": "lane quarantined"}', False),
        ("Traceback (most recent call last):", False),
    ],
)
def test_a_mistake_in_the_log(tmp_path: Path, text: str, right: bool) -> None:
    (tmp_path / "log").write_text(f"{text}\n")
    assert (list(rules.log(tmp_path / "log")) == []) is right


def test_every_mistake_is_an_event_that_the_product_logs() -> None:
    """One that was renamed there would never be found here."""
    sources = (path.read_text() for path in Path(coordinator.__file__).parent.rglob("*.py"))
    events = {event for source in sources for event in LOGGED.findall(source)}
    assert len(events) > len(rules.OWN_MISTAKES)
    assert {*rules.OWN_MISTAKES, STALE} <= events


def test_what_was_done_again_and_a_run_that_wrote_nothing_down() -> None:
    notes = [Note(what, "duty", 1) for what in ("claimed", "executed", "completed")]
    assert list(rules.duties(Recording(notes))) == []
    lost = [*notes, Note("executed", "duty", 2), Note("executed", "duty", 3)]
    assert len(list(rules.duties(Recording(lost)))) == 1
    assert list(rules.duties(Recording([])))


def test_a_row_shows_what_broke_it() -> None:
    assert Row("rule", ()).line == "ok    rule"
    assert Row("rule", ("this",)).line == "WRONG rule\n        this"
