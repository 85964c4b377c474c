"""Entries at the oracle and its events: what it states must be what terms, roster and attempt say."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from uuid import UUID

import msgspec
import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import oracle
from coordinator.ports import oracle as port
from coordinator.ports.faults import Rejected, Unreachable
from coordinator_core.competition.observation import CreateEvent, Line
from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, Misuse, VerificationFailed
from tests.support import lanes as b
from tests.support import scene
from tests.support.attempt import altered
from tests.support.lanes import Story
from tests.support.scene import BookOracle

EVENT_ID = scene.oracle_event().event_id


class Ledger(BookOracle):
    """Keeps the entries as they were handed over; a lost answer is lost after they were taken."""

    taken: list[tuple[port.EntryPicks, ...]]
    lost = False
    lines: tuple[Line, ...] = ()

    async def submit_entries(self, event_id: UUID, entries: Any) -> port.OracleEvent:
        self.taken.append(entries)
        if self.lost:
            self.lost = False
            raise Unreachable("oracle", "no answer", fault=Fault.ORACLE)
        return await super().submit_entries(event_id, entries)

    async def create_event(self, event: CreateEvent) -> port.OracleEvent:
        return altered(await super().create_event(event), lines=self.lines)


@pytest.fixture
def book(bench) -> Ledger:
    book = Ledger()
    book.taken = []
    bench.services = dataclasses.replace(bench.services, oracle=book)
    return book


@pytest.fixture
def story() -> Story:
    story = Story().put(scene.oracle_event())
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms), player.seal())
    return story


@pytest.fixture
def submit(bench, book: Ledger, story: Story):
    async def submit():
        event = story.terms.event(1, 3)
        book.events.setdefault(event.id, await book.create_event(event))
        duty = d.SubmitEntries(attempt=1, event_id=EVENT_ID, roster=scene.ROSTER)
        task = await bench.task(duty, b.entries_submitted(1, scene.ROSTER), story)
        return await oracle.SubmitEntriesExecutor(bench.services)(task)

    return submit


class TestSubmitEntries:
    async def test_picks_as_they_were_opened_under_a_statement_that_says_so(
        self, submit, book: Ledger, story: Story
    ) -> None:
        book.statement = scene.statement(story.terms).encode()
        assert await submit() == Done([f.EntriesPosted(attempt=1, statement=scene.statement(story.terms))])
        assert book.taken == [tuple(port.EntryPicks(name, scene.PICKS) for name in scene.IDS)]

    async def test_a_lost_answer_hands_the_same_over_again(self, submit, book: Ledger, story: Story) -> None:
        book.statement, book.lost = scene.statement(story.terms).encode(), True
        with pytest.raises(Unreachable):
            await submit()
        assert isinstance(await submit(), Done)
        assert book.taken[0] == book.taken[1]

    @pytest.mark.parametrize(
        "changes",
        [
            {"event_id": str(UUID(int=9))},
            {"nonce_point": scene.ORACLE.public_key.hex()},
            {"signing_date": 1},
            {"outcomes": {"kind": "ranking", "number_of_places_win": 1, "entry_ids": [str(i) for i in scene.IDS]}},
            {"outcomes": {"kind": "ranking", "number_of_places_win": 2, "entry_ids": [str(i) for i in scene.IDS[:2]]}},
        ],
    )
    async def test_one_member_that_is_another_is_refused_although_it_is_signed(
        self, submit, book: Ledger, story: Story, changes: dict[str, Any]
    ) -> None:
        book.statement = scene.statement(story.terms, **changes).encode()
        with pytest.raises(VerificationFailed, match="is not that of the terms and roster") as caught:
            await submit()
        assert caught.value.fault is Fault.ORACLE

    async def test_a_statement_of_the_attempt_before_is_refused(self, submit, book: Ledger, story: Story) -> None:
        book.statement = scene.statement(story.terms, 2).encode()
        with pytest.raises(VerificationFailed, match="event_id"):
            await submit()

    async def test_a_statement_signed_by_nobody_is_refused(self, submit, book: Ledger, story: Story) -> None:
        document = json.loads(scene.statement(story.terms))
        book.statement = json.dumps({**document, "signature": "00" * 64}).encode()
        with pytest.raises(InvalidSignature):
            await submit()

    async def test_no_statement_yet_is_no_failure_of_ours(self, submit, book: Ledger) -> None:
        again = await submit()
        assert isinstance(again, Again)
        assert again.facts == ()

    async def test_without_the_announced_nonce_nothing_can_be_compared(
        self, submit, book: Ledger, story: Story
    ) -> None:
        book.statement = scene.statement(story.terms).encode()
        story.facts = [fact for fact in story.facts if not isinstance(fact, f.OracleEvent)]
        with pytest.raises(Misuse, match="has no oracle event"):
            await submit()


class TestCreateEvent:
    def lines(self, terms: Any, upper: str = "1.5") -> tuple[Line, ...]:
        pairs = [(t, m.id) for t in terms.observation.targets for m in terms.observation.metrics]
        return tuple(Line(target=t, metric=m, lower="-1.5", upper=upper, window_hours=24) for t, m in sorted(pairs))

    async def create(self, bench, story: Story):
        task = await bench.task(d.CreateEvent(attempt=1, entries=3), b.event_created(), story)
        return await oracle.CreateEventExecutor(bench.services)(task)

    async def test_events_of_the_attempts_show_the_lines_of_the_terms(self, bench, book: Ledger) -> None:
        fixed = b.terms_with()
        shown = msgspec.to_builtins(self.lines(fixed))
        story = Story(b.terms_with({"scoring.rules": "lines", "scoring.lines": shown}))
        book.lines = self.lines(fixed)
        assert await self.create(bench, story) == Done([scene.oracle_event()])
        book.lines = self.lines(fixed, upper="2.5")
        with pytest.raises(VerificationFailed, match="has other lines than the terms"):
            await self.create(bench, story)

    async def test_a_repeat_finds_the_same_event(self, bench, book: Ledger) -> None:
        made = await self.create(bench, Story())
        assert await self.create(bench, Story()) == made
        assert list(book.events) == [UUID(EVENT_ID)]

    async def test_what_the_oracle_refuses_goes_to_the_worker(self, bench, book: Ledger, monkeypatch) -> None:
        async def refuse(event: object) -> None:
            raise Rejected("oracle", "400 too many entries", fault=Fault.ORACLE)

        monkeypatch.setattr(book, "create_event", refuse)
        with pytest.raises(Rejected):
            await self.create(bench, Story())


class TestPoll:
    async def poll(self, bench, story: Story):
        duty = d.PollAttestation(attempt=1, event_id=EVENT_ID, entries=3)
        task = await bench.task(duty, b.awaiting_attestation(), story)
        return await oracle.PollAttestationExecutor(bench.services)(task)

    async def test_on_mainnet_it_is_asked_for_rarely_until_it_can_be_there(self, bench, book: Ledger) -> None:
        story = Story().put(scene.oracle_event())
        signing = story.terms.observation.signing_date
        bench.house.clockwork.chain_time = False
        early = await self.poll(bench, story.copy().set(now=signing - 1))
        due = await self.poll(bench, story.copy().set(now=signing))
        assert (early.seconds, due.seconds) == (oracle.SLOW_POLL_SECONDS, oracle.ATTESTATION_POLL_SECONDS)

    async def test_an_attestation_without_an_announced_nonce_is_a_misuse(self, bench, book: Ledger) -> None:
        book.attested[UUID(EVENT_ID)] = scene.attestation(0)
        with pytest.raises(Misuse, match="has no oracle event"):
            await self.poll(bench, Story())

    async def test_a_scalar_of_another_event_is_no_result_of_this_one(self, bench, book: Ledger) -> None:
        """True for the nonce of the attempt before; here it opens nothing."""
        book.attested[UUID(EVENT_ID)] = scene.attestation(0)
        other = altered(scene.oracle_event(), nonce_point=scene.ORACLE.public_key.hex())
        with pytest.raises((VerificationFailed, InvalidInput)):
            await self.poll(bench, Story().put(other))
