from itertools import permutations

import pytest

from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.oracle.outcomes import (
    message,
    messages,
    outcome_count,
    ranking_at,
    ranking_count,
    ranking_index,
    rankings,
)


@pytest.mark.parametrize(("entries", "places"), [(2, 1), (3, 1), (3, 2), (5, 3), (6, 5)])
def test_index_and_ranking_are_each_others_inverse(entries, places):
    listed = list(permutations(range(entries), places))
    assert [ranking_at(i, entries, places) for i in range(len(listed))] == listed
    assert [ranking_index(ranking, entries) for ranking in listed] == list(range(len(listed)))
    assert ranking_at(len(listed), entries, places) is None


@pytest.mark.parametrize(
    ("entries", "places", "count"), [(25, 2, 601), (25, 3, 13_801), (13, 4, 17_161), (9, 5, 15_121)]
)
def test_counts_of_the_oracle(entries, places, count):
    assert outcome_count(entries, places) == count


def test_messages_are_eight_bytes_an_index_with_refund_all_last():
    assert message((2, 0)) == bytes.fromhex("00000000000000020000000000000000")
    assert list(messages(2, 1)) == [message((0,)), message((1,)), message((0, 1))]


@pytest.mark.parametrize(("entries", "places"), [(3, 3), (3, 0), (3, 4), (0, 0), (2, -1)])
def test_as_many_places_as_entries_are_refused(entries, places):
    with pytest.raises(InvalidInput):
        ranking_count(entries, places)


def test_a_count_of_outcomes_that_the_oracle_refuses():
    assert outcome_count(13, 4) == 17_161
    with pytest.raises(Refused):
        outcome_count(17, 4)
    with pytest.raises(Refused):
        next(rankings(17, 4))


def test_hostile_indexes():
    with pytest.raises(Refused):
        ranking_count(14, 4)
    for index in (-1, 7):
        with pytest.raises(InvalidInput):
            ranking_at(index, 3, 2)
    for ranking in ((0, 0), (0, 3), (-1, 0)):
        with pytest.raises(InvalidInput):
            ranking_index(ranking, 3)
