"""submit: judged, written, applied and answered in one transaction; the same key gets the same answer."""

import asyncio

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine.commands.create import create_competition
from coordinator.engine.submit import Conflict, Decision, UnknownCompetition, submit
from coordinator_core.competition.draft import Draft
from coordinator_core.errors import Refused
from tests.support import lanes as b

OPEN = s.CollectingEntries(terms_hash="h")
DRAFT = {
    "title": "Rain",
    "network": "regtest",
    "targets": ["KORD"],
    "metrics": ["temp_high"],
    "values_per_entry": 1,
    "entries_close": "2023-11-16T00:00:00Z",
    "observation_start": "2023-11-17T00:00:00Z",
    "observation_end": "2023-11-18T00:00:00Z",
    "signing_date": "2023-11-18T01:00:00Z",
    "entry_fee": 50_000,
    "minimum_entries": 3,
    "maximum_entries": 5,
    "oracle_url": "http://127.0.0.1:9800",
    "keymeld_gateway": "http://127.0.0.1:8090",
}


def call(house, lane: str, dkey: str, decide):
    return submit(house.store, house.clockwork, house.wakeups, lane=lane, kind="test", dkey=dkey, decide=decide)


def reserve(entry_id: str, answer: object = "taken"):
    def decide(state: object, lane: object) -> Decision:
        return Decision([b.ticket(entry_id)], answer, [(f"hash:{b.ticket_hash(entry_id)}", entry_id, "ticket_hash")])

    return decide


async def test_same_key_gets_the_stored_answer_and_is_judged_once(house) -> None:
    lane = await house.lane(OPEN)
    judged: list[int] = []

    def decide(state: object, found: object) -> Decision:
        judged.append(1)
        return Decision([b.ticket("entry-1")], {"number": len(judged)})

    answers = await asyncio.gather(*(call(house, lane, "key", decide) for _ in range(10)))
    assert set(answers) == {b'{"number":1}'}
    assert await call(house, lane, "other", decide) == b'{"number":2}'
    assert len(judged) == 2


async def test_command_is_applied_before_it_is_answered(house) -> None:
    lane = await house.lane(OPEN)
    changed: list[str] = []
    house.wakeups.listen(changed.append)

    def decide(state: object, found: object) -> Decision:
        return Decision([f.CancelAsked(by="operator", reason="rain everywhere")], {"cancelled": True})

    await call(house, lane, "key", decide)
    assert isinstance(await house.state(lane), s.Cancelled)
    assert changed == [lane]
    assert await house.rows("SELECT status FROM inbox") == [(1,)]


async def test_refused_command_leaves_nothing(house) -> None:
    lane = await house.lane(OPEN)
    before = await house.rows("SELECT kind, key FROM fact")

    def decide(state: object, found: object) -> Decision:
        raise Conflict("competition", "is full")

    with pytest.raises(Conflict):
        await call(house, lane, "key", decide)
    assert await house.rows("SELECT kind, key FROM fact") == before
    assert await house.rows("SELECT * FROM inbox") == []


async def test_taken_resource_refuses_the_whole_command_with_its_field(house) -> None:
    lane, other = await house.lane(OPEN), await house.lane(OPEN, name="other")
    await call(house, lane, "first", reserve("entry-1"))
    with pytest.raises(Refused) as caught:
        await call(house, other, "second", reserve("entry-1"))
    assert caught.value.field == "ticket_hash"
    assert await house.rows("SELECT * FROM fact WHERE lane = 'other' AND kind = 'ticket'") == []
    assert await house.rows("SELECT dkey FROM inbox") == [("first",)]


async def test_refused_command_can_be_sent_again_under_its_key(house) -> None:
    lane = await house.lane(OPEN)

    def refuse(state: object, found: object) -> Decision:
        raise Conflict("competition", "not yet")

    with pytest.raises(Conflict):
        await call(house, lane, "key", refuse)
    assert await call(house, lane, "key", reserve("entry-1")) == b'"taken"'


async def test_unknown_competition(house) -> None:
    with pytest.raises(UnknownCompetition):
        await call(house, "nowhere", "key", reserve("entry-1"))


async def test_quarantined_competition_takes_no_command(house) -> None:
    lane = await house.lane(OPEN)
    async with house.store.write() as tx:
        await tx.quarantine(lane, "contradiction", 0)
    with pytest.raises(Conflict, match="operator"):
        await call(house, lane, "key", reserve("entry-1"))


async def test_create_twice_is_one_competition(house) -> None:
    draft = msgspec.convert(DRAFT, Draft)
    made = [
        await create_competition(house.store, house.clockwork, house.wakeups, draft, key) for key in ("a", "a", "b")
    ]
    assert made[0] == made[1] != made[2]
    assert await house.store.lanes() == sorted({made[0], made[2]}, reverse=True)
    assert await house.duties(made[0]) == {"oracle.publish_terms/"}
