"""The order in which facts arrive decides nothing (gate G4): the short form of tests/harness/shuffles.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import Fact, FactBook, HoldState, PrizeState
from coordinator_core.units import UnixTime
from tests.harness.shuffles import Story, diverges, story
from tests.support import lanes as b

STORIES = 12
SHUFFLES = 300


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    return [story(seed) for seed in range(STORIES)]


def test_whole_competitions_told_in_another_order_come_to_the_same(stories: list[Story]) -> None:
    found = [diverges(stories[number % STORIES], number) for number in range(SHUFFLES)]
    assert not [reason for reason in found if reason is not None]


def test_the_stories_have_every_kind_of_end(stories: list[Story]) -> None:
    ends = {type(told.pictures[-1][0]) for told in stories}
    assert ends >= {s.Completed, s.Cancelled}
    assert sum(len(chapter.facts) for told in stories for chapter in told.chapters) > 500


def test_only_what_one_duty_alone_writes_says_nothing_of_its_order(stories: list[Story]) -> None:
    kinds = {kind for told in stories for kind, _ in told.unordered()}
    assert kinds <= {"payout", "holds_read", "kick_off_held", "needs_operator"}


INVOICE = [
    b.invoice("entry-1", HoldState.OPEN),
    b.invoice("entry-1", HoldState.ACCEPTED),
    b.invoice("entry-1", HoldState.SETTLED),
]
CANCELED = [*INVOICE[:2], b.invoice("entry-1", HoldState.CANCELED)]
TICKET = [b.ticket("entry-1", generation) for generation in (1, 2, 3)]
ENTRY = [b.entry("entry-1", generation) for generation in (1, 2, 3)]
APPROVAL = [b.approval("entry-1", "batch", at=b.WALL + seconds) for seconds in (1, 2, 3)]
ATTENDED = [f.Attended(player="p", at=UnixTime(at)) for at in (1, 2, 3)]
NOTIFIED = [f.Notified(entry_id="entry-1", topic="seal/1", delivered=True, at=UnixTime(n), number=n) for n in (1, 2, 3)]
PAYOUT = [b.payout("entry-1", PrizeState.PAYING), b.payout("entry-1", PrizeState.PAID)]
FIRST_STANDS = [b.attested(1)]
SERIES: list[list[Fact]] = [
    [*INVOICE],
    [*CANCELED],
    [*TICKET],
    [*ENTRY],
    [*APPROVAL],
    [*ATTENDED],
    [*NOTIFIED],
    [*PAYOUT],
    [*FIRST_STANDS],
]


@given(st.sampled_from(SERIES), st.data())
def test_a_word_that_arrives_late_takes_nothing_back(series: list[Fact], data: st.DataObject) -> None:
    arriving = data.draw(st.permutations([*series, *series]))
    book = FactBook()
    for fact in arriving:
        book.put(fact)
    assert list(book) == [series[-1]]


def test_a_failed_payment_may_be_followed_by_another() -> None:
    book = FactBook([b.payout("entry-1", PrizeState.CLAIMABLE)])
    assert book.put(b.payout("entry-1", PrizeState.PAYING, payment_hash="another"))
