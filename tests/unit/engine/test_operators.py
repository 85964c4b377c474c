"""What operators may do: each act has its effect once, with who and why in the audit log, or leaves nothing."""

from __future__ import annotations

import shlex

import msgspec
import pytest

from coordinator.cli.admin.command import admin
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine import apply as apply_module
from coordinator.engine.operators import dead, lanes
from coordinator.engine.operators.acting import MAX_REASON, By, House
from coordinator.engine.operators.attention import FAILING, attention
from coordinator.engine.operators.freezing import Freezer
from coordinator.engine.operators.restoring import after_restore
from coordinator.engine.submit import Conflict, UnknownCompetition
from coordinator.ports.following import Hit, Watch
from coordinator_core.errors import InvalidInput
from coordinator_core.units import UnixTime
from tests.support import lanes as b

OWNER, OTHER = "a" * 64, "b" * 64
CREATE = "oracle.create_event"
OPEN = s.CollectingEntries(terms_hash="h")


def parsed(words: list[str], lane: str, uuid: str) -> None:
    """What operators are told to type is a command; competitions of these tests have names instead of ids."""
    command = admin.commands[words[0]]
    rest = [uuid if word == lane else word for word in words[1:]]
    command.make_context(words[0], [*rest, "--reason", "looked at it"])


@pytest.fixture
def office(house) -> House:
    return House(house.store, house.clockwork, house.wakeups)


def by(key: str = "1", who: str = "operator", reason: str = "looked at it") -> By:
    return By(who, reason, key)


async def acts(house) -> list[tuple[object, ...]]:
    return await house.rows("SELECT who, act, lane, subject, reason FROM audit ORDER BY seq")


async def stop(house, lane: str, at: int = 5) -> None:
    async with house.store.write() as tx:
        await tx.quarantine(lane, "contradiction", UnixTime(at))


async def kill(house, lane: str) -> None:
    await house.apply(lane)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql(
            "UPDATE duty SET status = 'dead', failures = 5, last_error = 'a defect', done_at = 9 "
            "WHERE lane = ? AND kind = ?",
            (lane, CREATE),
        )


class TestActs:
    async def test_an_act_has_its_effect_once_and_its_line_says_who_and_why(self, house, office) -> None:
        lane = await house.lane(b.event_created(), *b.seats())
        await house.apply(lane)
        house.clock.seconds = 77
        first = await lanes.retry(office, by(reason="the oracle is back"), lane, f"{lane}/{CREATE}/1")
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12")
        assert await lanes.retry(office, by(reason="again"), lane) == first == b'{"due":1}'
        assert await acts(house) == [("operator", "retry", lane, f"{lane}/{CREATE}/1", "the oracle is back")]
        assert await house.rows("SELECT DISTINCT due_at FROM duty WHERE status = 'open'") == [(9e12,)]
        assert await house.rows("SELECT kind, status FROM inbox WHERE source = 'operator'") == [("retry", 0)]

    @pytest.mark.parametrize("reason", ["", "  \n", "x" * (MAX_REASON + 1)])
    def test_nobody_acts_without_a_reason(self, reason: str) -> None:
        with pytest.raises(InvalidInput, match="reason"):
            by(reason=reason)

    @pytest.mark.parametrize("what", [lanes.retry, lanes.resume, lanes.reconcile, lanes.cancel])
    async def test_of_an_unknown_competition_nothing_is_written(self, house, office, what) -> None:
        with pytest.raises(UnknownCompetition):
            await what(office, by(), "nowhere")
        with pytest.raises(UnknownCompetition):
            await dead.reopen(office, by(), lane="nowhere")
        assert await acts(house) == []

    async def test_the_log_is_read_from_its_end(self, house, office) -> None:
        freezer = Freezer(office)
        for number in range(3):
            await freezer.freeze(by(str(number), reason=f"reason {number}"))
        newest = await house.store.acts(2)
        assert [row.reason for row in newest] == ["reason 2", "reason 1"]
        assert [row.reason for row in await house.store.acts(9, newest[-1].seq)] == ["reason 0"]


class TestRetryAndReopen:
    async def test_retry_leaves_what_is_being_worked_at_alone(self, house, office) -> None:
        lane = await house.lane(b.event_created(), *b.seats())
        await house.apply(lane)
        async with house.store.write() as tx:
            rows = await tx.claim(9e11, 30.0, "worker", {"oracle": 9})
        assert [row.kind for row in rows] == [CREATE]
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12, failures = 4")
        house.clock.seconds = 50
        await lanes.retry(office, by(), lane)
        found = await house.rows("SELECT kind = 'oracle.create_event', due_at, failures FROM duty GROUP BY 1, 2, 3")
        assert found == [(0, 50.0, 0), (1, 9e12, 4)]

    async def test_dead_duties_are_opened_by_what_is_given(self, house, office) -> None:
        for name in ("one", "two", "three"):
            await kill(house, await house.lane(b.event_created(), name=name))
        ids = [f"{name}/{CREATE}/1" for name in ("one", "two", "three")]
        assert msgspec.json.decode(await dead.reopen(office, by("1"), lane="one")) == {"reopened": ids[:1]}
        assert msgspec.json.decode(await dead.reopen(office, by("2"), duty=ids[1]))["reopened"] == [ids[1]]
        assert msgspec.json.decode(await dead.reopen(office, by("3"), kind="ln.pay"))["reopened"] == []
        assert msgspec.json.decode(await dead.reopen(office, by("4")))["reopened"] == [ids[2]]
        rows = await house.rows(f"SELECT DISTINCT status, failures, done_at FROM duty WHERE kind = '{CREATE}'")
        assert rows == [("open", 0, None)]


class TestResume:
    async def test_it_goes_on_in_the_same_transaction(self, house, office) -> None:
        lane = await house.lane(b.awaiting_escrow(), b.holds_read(0, at=100))
        await stop(house, lane)
        await house.apply(lane)
        assert await lanes.resume(office, by(), lane) == b'{"resumed":true}'
        assert isinstance(await house.state(lane), s.EscrowConfirmed)
        assert (await house.store.lane(lane)).quarantined is None
        assert await house.rows("SELECT quarantined_at FROM lane") == [(None,)]

    async def test_it_stays_stopped_while_it_contradicts_itself(self, house, office, monkeypatch) -> None:
        def defect(*_: object) -> None:
            raise KeyError("a defect")

        lane = await house.lane(b.awaiting_escrow(), b.holds_read(0, at=100))
        await stop(house, lane)
        monkeypatch.setattr(apply_module, "advance", defect)
        with pytest.raises(Conflict, match="still contradicts itself: KeyError"):
            await lanes.resume(office, by(), lane)
        assert (await house.store.lane(lane)).quarantined == "contradiction"
        assert await acts(house) == []

    async def test_one_that_cannot_be_read_says_so(self, house, office) -> None:
        lane = await house.lane(b.awaiting_escrow())
        await stop(house, lane)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE state_row SET v = 7")
        with pytest.raises(Conflict, match=r"cannot be read.*version 7"):
            await lanes.resume(office, by(), lane)

    async def test_one_that_goes_on_is_not_resumed(self, house, office) -> None:
        lane = await house.lane(b.awaiting_escrow())
        with pytest.raises(Conflict, match="not stopped"):
            await lanes.resume(office, by(), lane)


class TestReconcile:
    async def test_duties_ask_again_and_the_past_is_searched_again(self, house, office) -> None:
        lane = await house.lane(b.awaiting_signing(), *b.seats(), b.pinned())
        await house.apply(lane)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql("UPDATE watch SET backfilled = 1")
            await connection.exec_driver_sql("UPDATE duty SET due_at = 9e12")
        answer = msgspec.json.decode(await lanes.reconcile(office, by(), lane))
        assert answer["watches"] == 3
        assert answer["due"] == len(await house.store.open_duties(lane)) > 0
        assert len(await house.store.unfilled_watches()) == 3
        assert await house.rows("SELECT count(*) FROM duty WHERE status = 'open' AND due_at = 9e12") == [(0,)]
        assert house.wakeups.probe.is_set()
        assert await house.rows("SELECT prio FROM inbox WHERE status = 0") == [(1,)]


class TestCancel:
    async def test_the_token_ends_it_while_entries_are_open_with_a_full_return(self, house, office) -> None:
        lane = await house.lane(OPEN, *b.seats())
        answer = msgspec.json.decode(await lanes.cancel(office, by(reason="rain everywhere"), lane))
        assert answer == {"cancelled": True, "awaits_second_owner": False}
        assert await house.state(lane) == s.Returning(reason="rain everywhere", ends_in="cancelled")
        cancels = {name for name in await house.duties(lane) if name.startswith("ln.cancel/")}
        assert cancels == {f"ln.cancel/{b.ticket_hash(entry)}" for entry in b.ROSTER}

    async def test_after_the_closing_two_owners_have_to_agree(self, house, office) -> None:
        lane = await house.lane(b.event_created(), *b.seats())
        with pytest.raises(Conflict, match="two owners"):
            await lanes.cancel(office, by("1"), lane)
        first = await lanes.cancel(office, by("2", OWNER, "storm"), lane)
        assert msgspec.json.decode(first) == {"cancelled": False, "awaits_second_owner": True}
        again = await lanes.cancel(office, by("3", OWNER, "storm!"), lane)
        assert msgspec.json.decode(again)["awaits_second_owner"]
        assert isinstance(await house.apply(lane), s.EventCreated)
        last = await lanes.cancel(office, by("4", OTHER, "hail"), lane)
        assert msgspec.json.decode(last)["cancelled"]
        assert await house.state(lane) == s.Returning(reason="storm; hail", ends_in="cancelled")
        assert [who for who, *_ in await acts(house)] == [OWNER, OWNER, OTHER]

    @pytest.mark.parametrize("state", [b.funding_broadcasted, b.awaiting_attestation])
    async def test_once_the_funding_may_have_left_nobody_can(self, house, office, state) -> None:
        lane = await house.lane(state())
        for who in ("operator", OWNER):
            with pytest.raises(Conflict, match="funding may have left"):
                await lanes.cancel(office, by(who, who), lane)
        assert (await house.store.lane(lane)).facts.all(f.CancelAsked) == ()

    async def test_entries_that_closed_are_the_owners_matter(self, house, office) -> None:
        early = b.terms_with({"schedule.entries_close": house.chain.blocks[-1].time})
        lane = await house.lane(OPEN, terms=early)
        with pytest.raises(Conflict, match="two owners"):
            await lanes.cancel(office, by(), lane)

    async def test_a_stopped_one_goes_on_into_its_end(self, house, office) -> None:
        lane = await house.lane(OPEN, *b.seats())
        await stop(house, lane)
        await lanes.cancel(office, by(), lane)
        assert isinstance(await house.state(lane), s.Returning)
        assert (await house.store.lane(lane)).quarantined is None


class TestFreeze:
    async def test_it_outlives_the_process_and_the_newest_word_counts(self, house, office) -> None:
        freezer = Freezer(office)
        await freezer.load()
        assert freezer.frozen is None
        house.clock.seconds = 50
        await freezer.freeze(by("1", reason="the books do not balance"))
        again = Freezer(office)
        await again.load()
        assert again.frozen == freezer.frozen
        assert (freezer.frozen.reason, freezer.frozen.since) == ("the books do not balance", 50)
        await freezer.unfreeze(by("2"))
        assert freezer.frozen is None
        # A repeated request must not bring back what was undone since.
        await freezer.freeze(by("1", reason="the books do not balance"))
        assert freezer.frozen is None


class TestAttention:
    async def test_everything_that_needs_a_person_the_oldest_first(self, house, office) -> None:
        freezer = Freezer(office)
        stopped = await house.lane(b.awaiting_escrow(), name="stopped")
        await stop(house, stopped, at=10)
        dying = await house.lane(b.event_created(), name="dying")
        house.clock.seconds = 20
        await kill(house, dying)
        # What was given up is shown at once; what is tried on, when that takes long.
        assert [item.kind for item in await attention(house.store, house.clockwork, None)] == ["stopped", "dead"]
        failing = await house.lane(b.event_created(), name="failing")
        house.clock.seconds = 30
        await house.apply(failing)
        async with house.store.write_connection() as connection:
            await connection.exec_driver_sql(
                "UPDATE duty SET failures = ?, last_error = 'no answer' WHERE lane = 'failing'", (FAILING,)
            )
            await connection.exec_driver_sql(
                "INSERT INTO duty_attempt SELECT id, 1, 25.0, 'open', 'no answer' FROM duty WHERE lane = 'failing'"
            )
        troubled = await house.lane(b.delta_broadcasted(), name="troubled")
        house.clock.seconds = 40
        dust = f.NeedsOperator(topic="dust/split", reason="an output is dust", resume="write it off")
        over = f.NeedsOperator(topic="bump/outcome/1", reason="no coins", resume="fund the wallet")
        await house.put(troubled, dust, over, b.built("outcome", b.OUTCOME))
        house.clock.seconds = 50
        await freezer.freeze(by(reason="look at the books"))
        house.clock.seconds = 150
        found = await attention(house.store, house.clockwork, freezer.frozen)
        assert [(item.kind, item.lane, item.subject, item.reason, item.age) for item in found] == [
            ("stopped", "stopped", "competition", "contradiction", 140),
            ("dead", "dying", f"dying/{CREATE}/1", "a defect", 130),
            ("failing", "failing", f"failing/{CREATE}/1", "no answer", 125),
            ("trouble", "troubled", "bump/outcome/1", "no coins", 110),
            ("trouble", "troubled", "dust/split", "an output is dust", 110),
            ("frozen", None, "new money", "look at the books", 100),
        ]
        names = {"stopped": "11", "dying": "12", "failing": "13"}
        for item in found:
            assert item.fix
            words = shlex.split(item.fix)
            if words[:2] == ["coordinator", "admin"]:
                lane = f"01926f3a-0000-7000-8000-0000000000{names.get(item.lane or '', '10')}"
                parsed(words[2:], item.lane or "", lane)

    async def test_trouble_that_is_over_needs_nobody(self, house) -> None:
        lane = await house.lane(b.delta_broadcasted(), b.built("outcome", b.OUTCOME))
        over = f.NeedsOperator(topic="bump/outcome/1", reason="no coins", resume="fund the wallet")
        await house.put(lane, over)
        assert len(await attention(house.store, house.clockwork, None)) == 1
        tip = await house.clockwork.tip()
        async with house.store.write() as tx:
            await tx.add_hits(tip, [Hit(lane, Watch("o", b.COIN), b.OUTCOME)])
        assert await attention(house.store, house.clockwork, None) == ()

    async def test_a_quiet_house_needs_nobody(self, house) -> None:
        await house.apply(await house.lane(b.event_created()))
        assert await attention(house.store, house.clockwork, None) == ()


async def test_after_a_restore_everything_that_goes_on_is_stopped_and_new_money_frozen(house, office) -> None:
    going = await house.lane(b.event_created(), name="going")
    ended = await house.lane(s.Cancelled(reason="r"), name="ended")
    owing = await house.lane(s.Cancelled(reason="r"), b.payout("entry-1", b.PrizeState.PAYING), name="owing")
    await house.apply(owing)
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE lane SET terminal_at = 1 WHERE id != 'going'")
    assert await after_restore(house.store, UnixTime(7), UnixTime(9)) == 2
    stopped = {row.lane: row.reason for row in await house.store.stopped()}
    assert stopped.keys() == {going, owing}
    assert ended not in stopped
    assert "backup of 7" in stopped[going]
    freezer = Freezer(office)
    await freezer.load()
    assert freezer.frozen is not None
