"""Each verb of operators: an audited event with who and why, its effect once, and never a row edited by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from coordinator.domain.competitions import states as s
from coordinator.engine.operators import dead, lanes
from coordinator.engine.operators.acting import By, House, Verb
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.operators.settling_only import SettleOnly
from coordinator_core.units import UnixTime
from tests.support import lanes as b

CREATE = "oracle.create_event"
OWNER, OTHER = "a" * 64, "b" * 64
Office = Callable[[House, By, str], Awaitable[bytes]]


@dataclass(frozen=True)
class Case:
    verb: Verb
    do: Office
    state: Callable[[], s.Competition] = b.event_created
    who: str = "operator"
    of_lane: bool = True
    moves: type[s.Competition] | None = None
    stopped: bool = False


async def retry(office: House, by: By, lane: str) -> bytes:
    return await lanes.retry(office, by, lane)


async def reopen(office: House, by: By, lane: str) -> bytes:
    return await dead.reopen(office, by, lane=lane)


async def resume(office: House, by: By, lane: str) -> bytes:
    return await lanes.resume(office, by, lane)


async def cancel(office: House, by: By, lane: str) -> bytes:
    return await lanes.cancel(office, by, lane)


async def reconcile(office: House, by: By, lane: str) -> bytes:
    return await lanes.reconcile(office, by, lane)


async def freeze(office: House, by: By, _: str) -> bytes:
    return await Freezer(office).freeze(by)


async def unfreeze(office: House, by: By, _: str) -> bytes:
    return await Freezer(office).unfreeze(by)


async def settle_only(office: House, by: By, _: str) -> bytes:
    return await SettleOnly(office, configured=False).begin(by)


async def take_on(office: House, by: By, _: str) -> bytes:
    return await SettleOnly(office, configured=False).end(by)


def collecting() -> s.CollectingEntries:
    return s.CollectingEntries(terms_hash="h")


CASES = [
    Case(Verb.RETRY, retry),
    Case(Verb.REOPEN, reopen),
    Case(Verb.RECONCILE, reconcile),
    Case(Verb.RESUME, resume, b.awaiting_escrow, moves=s.Returning, stopped=True),
    Case(Verb.CANCEL, cancel, collecting, moves=s.Returning),
    Case(Verb.FREEZE, freeze, of_lane=False),
    Case(Verb.UNFREEZE, unfreeze, of_lane=False, who=OWNER),
    Case(Verb.SETTLE_ONLY, settle_only, of_lane=False),
    Case(Verb.TAKE_ON, take_on, of_lane=False, who=OTHER),
]
ELSEWHERE = {Verb.EXPLAIN, Verb.ACCEPT_KEY}
"""They need a node with payments, and services with keys: see the tests of money."""


def test_every_verb_has_a_case() -> None:
    assert {case.verb for case in CASES} | ELSEWHERE == set(Verb)


@pytest.fixture
def office(house: Any) -> House:
    return House(house.store, house.clockwork, house.wakeups)


async def prepared(house: Any, case: Case) -> str:
    lane = await house.lane(case.state(), *b.seats(), b.holds_read(0, lost=("entry-1",)))
    if case.stopped:
        async with house.store.write() as tx:
            await tx.quarantine(lane, "contradiction", UnixTime(5))
    elif case.moves is None:
        await house.apply(lane)
    if case.verb is Verb.REOPEN:
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE duty SET status = 'dead' WHERE kind = ?", (CREATE,))
    return lane


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.verb.value)
async def test_each_act_is_an_audited_event_that_has_its_effect_once(house: Any, office: House, case: Case) -> None:
    lane = await prepared(house, case)
    facts = await house.rows("SELECT kind, key, body FROM fact")
    by = By(case.who, "the tower is on fire", "key-1")
    house.clock.seconds = 77
    answer = await case.do(office, by, lane)
    where = lane if case.of_lane else None
    line = [(case.who, case.verb.value, where, "the tower is on fire", 77)]
    assert await house.rows("SELECT who, act, lane, reason, at FROM audit") == line
    news = [(lane, case.verb.value)] if case.of_lane else []
    assert await house.rows("SELECT lane, kind FROM inbox WHERE source = 'operator'") == news
    # What it changed of a competition went through the one way: facts with their source, and logged steps.
    added = set(await house.rows("SELECT kind, key, body FROM fact")) - set(facts)
    assert {kind for kind, _, _ in added} == ({"cancel_asked"} if case.verb is Verb.CANCEL else set())
    assert set(facts) <= set(await house.rows("SELECT kind, key, body FROM fact"))
    sources = await house.rows("SELECT source FROM fact WHERE kind = 'cancel_asked'")
    assert sources == ([(f"operator:{case.who}",)] if case.verb is Verb.CANCEL else [])
    [(rev, steps)] = await house.rows("SELECT rev, (SELECT count(*) FROM transition) FROM lane")
    assert rev == steps
    assert (steps == 0) is (case.moves is None)
    if case.moves is not None:
        assert isinstance(await house.state(lane), case.moves)
    # The request comes again: the first answer, no second effect.
    before = await house.rows("SELECT id, status, due_at, attempts, failures FROM duty ORDER BY id")
    house.clock.seconds = 99
    assert await case.do(office, by, lane) == answer
    assert await house.rows("SELECT id, status, due_at, attempts, failures FROM duty ORDER BY id") == before
    assert await house.rows("SELECT count(*) FROM audit") == [(1,)]
