"""Cancel before the funding: one operator while entries are open, then two owners, nobody once it may have left."""

from collections.abc import Callable

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.cancelling import Judgement, decided, judge
from coordinator.domain.lane import Lane
from coordinator.domain.versions import STATES
from tests.support import lanes as b
from tests.support.lanes import Story
from tests.support.samples import sample

ONE = f.CancelAsked(by="a" * 64, reason="storm", is_owner=True)
TWO = f.CancelAsked(by="b" * 64, reason="hail", is_owner=True)
TOKEN = f.CancelAsked(by="operator", reason="rain")
OPEN: list[type[s.Competition]] = [s.Created, s.CollectingEntries]
CLOSING: list[type[s.Competition]] = [
    s.AwaitingEscrow,
    s.EscrowConfirmed,
    s.EventCreated,
    s.AwaitingKeygen,
    s.EntriesSubmitted,
    s.AwaitingSigning,
    s.FundingReady,
]


def lane(now: int, *facts: f.Fact) -> Lane:
    return Story().set(now=now).put(*facts).lane


@pytest.mark.parametrize("kind", OPEN)
def test_one_word_ends_it_while_entries_are_open(kind: Callable[[], s.Competition]) -> None:
    assert judge(sample(kind), lane(b.CLOSE - 1), "operator", is_owner=False) is Judgement.ENDS  # type: ignore[arg-type]
    step = advance(sample(kind), lane(b.CLOSE - 1, TOKEN))  # type: ignore[arg-type]
    assert step is not None
    assert step.state == s.Returning(reason="rain", ends_in="cancelled")


@pytest.mark.parametrize("kind", CLOSING)
def test_a_closing_takes_two_owners(kind: type[s.Competition]) -> None:
    assert judge(sample(kind), lane(b.CLOSE), "operator", is_owner=False) is Judgement.OWNERS_ONLY
    assert judge(sample(kind), lane(b.CLOSE), ONE.by, is_owner=True) is Judgement.AWAITS_SECOND
    assert judge(sample(kind), lane(b.CLOSE, ONE), ONE.by, is_owner=True) is Judgement.AWAITS_SECOND
    assert judge(sample(kind), lane(b.CLOSE, TOKEN), ONE.by, is_owner=True) is Judgement.AWAITS_SECOND
    assert judge(sample(kind), lane(b.CLOSE, ONE), TWO.by, is_owner=True) is Judgement.ENDS
    for words in ([ONE], [TOKEN], [ONE, TOKEN]):
        step = advance(sample(kind), lane(b.CLOSE, *words))
        assert step is None or "storm" not in step.reason
    step = advance(sample(kind), lane(b.CLOSE, ONE, TWO))
    assert step is not None
    assert step.state == s.Returning(reason="storm; hail", ends_in="cancelled")


def test_entries_that_have_closed_count_as_closing_before_the_competition_knows() -> None:
    assert judge(sample(s.CollectingEntries), lane(b.CLOSE), "operator", is_owner=False) is Judgement.OWNERS_ONLY
    step = advance(sample(s.CollectingEntries), lane(b.CLOSE, TOKEN, *b.seats()))
    assert step is not None
    assert isinstance(step.state, s.AwaitingEscrow)


@pytest.mark.parametrize("kind", sorted(set(STATES.types.values()) - {*OPEN, *CLOSING}, key=lambda kind: kind.__name__))
def test_no_word_ends_it_once_the_funding_may_have_left(kind: type[s.Competition]) -> None:
    assert judge(sample(kind), lane(b.CLOSE), ONE.by, is_owner=True) is Judgement.TOO_LATE
    assert decided(sample(kind), lane(b.CLOSE, ONE, TWO)) is None
