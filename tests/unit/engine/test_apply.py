"""apply: one transaction a lane, to the fixpoint; a lane that contradicts itself stops alone."""

import pytest

from coordinator.adapters.store.following import REOPEN_SECONDS
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine import apply as apply_module
from coordinator.engine import codec
from coordinator.engine.apply import InvariantViolation, apply_lane
from tests.support import lanes as b


async def test_runs_to_the_fixpoint_and_writes_state_log_duties_and_timers(house) -> None:
    lane = await house.lane(b.awaiting_escrow(), *b.seats(), b.holds_read(0, at=100), f.PlanningChecked())
    assert await house.apply(lane) == b.event_created()
    log = await house.store.transitions(lane)
    assert [(row.from_state, row.to_state) for row in log] == [
        ("awaiting_escrow", "escrow_confirmed"),
        ("escrow_confirmed", "event_created"),
    ]
    assert "oracle.create_event/1" in await house.duties(lane)
    record = await house.store.lane(lane)
    assert record.rev == 2
    timers = dict(await house.rows("SELECT name, due FROM timer"))
    assert timers == {"domain": b.END_OF_CLOSING, "height": 101}


async def test_nothing_new_writes_no_state_and_no_duty_twice(house) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    before = await house.rows("SELECT id, due_at, status FROM duty")
    await house.apply(lane)
    assert await house.rows("SELECT id, due_at, status FROM duty") == before
    assert await house.store.transitions(lane) == []


async def test_what_is_not_wanted_any_more_is_obsolete(house) -> None:
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    await house.put(lane, b.oracle_event())
    assert await house.apply(lane) == s.AwaitingKeygen(roster=b.ROSTER, attempt=1, event_id="event-1")
    status = dict(await house.rows("SELECT kind, status FROM duty"))
    assert status["oracle.create_event"] == "obsolete"
    assert status["keymeld.open_session"] == "open"


async def test_what_is_done_without_its_fact_waits_whatever_the_fraction_of_the_second(house, monkeypatch) -> None:
    """Counted from whole seconds it would be due at once in the second half of each: a duty that spins."""
    lane = await house.lane(b.event_created(), *b.seats())
    await house.apply(lane)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET status = 'done' WHERE kind = 'oracle.create_event'")
    now = house.clock.seconds + 0.9
    monkeypatch.setattr(house.clock, "precise", lambda: now)
    await house.apply(lane)
    [(due,)] = await house.rows("SELECT due_at FROM duty WHERE kind = 'oracle.create_event' AND status = 'open'")
    assert due == now + REOPEN_SECONDS


async def test_watches_follow_the_pins(house) -> None:
    lane = await house.lane(b.awaiting_signing(), *b.seats(), b.pinned())
    await house.apply(lane)
    watches = set(await house.rows("SELECT keytype, key FROM watch"))
    assert watches == {("t", b.FUNDING), ("o", f"{b.FUNDING}:0"), ("o", b.COIN)}


@pytest.mark.parametrize("broken", ["state", "fact", "terms"])
async def test_a_broken_lane_is_quarantined_and_the_others_go_on(house, broken: str) -> None:
    bad = await house.lane(b.event_created(), *b.seats(), wake=True)
    good = await house.lane(b.awaiting_escrow(), b.holds_read(0, at=100), name="good", wake=True)
    statements = {
        "state": 'UPDATE state_row SET data = \'{"state": "unheard_of"}\' WHERE lane = ?',
        "fact": "UPDATE fact SET body = '{\"kind\": \"invoice\"}' WHERE lane = ? AND kind = 'ticket'",
        "terms": 'UPDATE fact SET body = \'{"kind": "published", "terms": "{}", "terms_hash": "h"}\' '
        "WHERE lane = ? AND kind = 'published'",
    }
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql(statements[broken], (bad,))
    applier = house.applier
    while await applier.step():
        pass
    assert await house.state(good) == s.EscrowConfirmed(roster=b.ROSTER)
    quarantined = dict(await house.rows("SELECT id, quarantined_reason FROM lane"))
    assert quarantined[bad] is not None
    assert quarantined[good] is None
    parked = await house.rows(f"SELECT status FROM inbox WHERE lane = '{bad}'")
    assert parked == [(2,)]


async def test_quarantined_lane_moves_no_more(house) -> None:
    lane = await house.lane(b.awaiting_escrow(), b.holds_read(0, at=100))
    async with house.store.write() as tx:
        await tx.quarantine(lane, "contradiction", 0)
    assert await house.apply(lane) == b.awaiting_escrow()


async def test_whatever_pure_code_raises_stops_one_lane_and_leaves_nothing(house, monkeypatch) -> None:
    def defect(*_: object) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(apply_module, "watched", defect)
    lane = await house.lane(b.awaiting_escrow(), b.holds_read(0, at=100))
    with pytest.raises(InvariantViolation, match="KeyError"):
        async with house.store.write() as tx:
            await apply_lane(tx, await tx.load(lane), house.clockwork)
    assert await house.state(lane) == b.awaiting_escrow()
    assert await house.rows("SELECT * FROM duty") == []


async def test_lane_without_fixpoint_is_quarantined(house, monkeypatch) -> None:
    def circle(state: s.Competition, _: object):
        return b.funding_confirmed().unconfirmed()

    monkeypatch.setattr(apply_module, "advance", circle)
    lane = await house.lane(b.funding_broadcasted())
    await house.apply(lane)
    assert await house.rows("SELECT quarantined_reason FROM lane") == [("no fixpoint after 32 steps",)]


async def test_urgent_lanes_come_first_and_every_fourth_turn_is_for_the_oldest(house) -> None:
    for name in ("patient", "one", "two", "three", "four"):
        await house.lane(b.event_created(), name=name)
    async with house.store.write() as tx:
        await tx.notify("patient", 5, "test", "p", "timer", 0)
        for name in ("one", "two", "three", "four"):
            await tx.notify(name, 0, "test", name, "duty", 0)
    order: list[str] = []
    house.wakeups.listen(order.append)
    applier = house.applier
    while await applier.step():
        pass
    assert order == ["one", "two", "three", "patient", "four"]


def test_every_state_survives_its_codec() -> None:
    states = [b.awaiting_escrow(), b.funding_confirmed(), b.delta_broadcasted(None), b.outcome_broadcasted(3, ("x",))]
    for state in states:
        again = codec.decode_state(codec.encode_state(state))
        assert again == state
        assert type(again) is type(state)
        assert not again.consumed
