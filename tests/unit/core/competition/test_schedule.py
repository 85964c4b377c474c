"""Dates, holds, closing (money sections 2, 3, 5)."""

import pytest

from coordinator_core.competition.chain_cost import ContractShape
from coordinator_core.competition.closing import (
    batch_count,
    is_left_out,
    max_signing_sessions,
    was_late,
    window_end,
)
from coordinator_core.competition.holds import (
    HoldStep,
    HoldTooLong,
    enough_for_funding,
    hold_cltv_expiry,
    hold_left,
    step_after_broadcast,
)
from coordinator_core.competition.schedule import (
    check_creation,
    date_of,
    end_of_closing,
    funding_deadline,
    may_broadcast_funding,
    may_start_attempt,
    refund_height,
)
from coordinator_core.errors import InvalidInput, Refused

NOW = 1_790_000_000
TIP = 900_000
F = TIP + 94


def test_the_deadline_is_fifteen_percent_of_blocks_later(terms):
    assert end_of_closing(terms.schedule) == NOW + 40_000 + 3 * 1_800 + 3_600
    assert funding_deadline(TIP, NOW, NOW + 49_000) == F
    assert funding_deadline(TIP, NOW, NOW + 600 * 20) == TIP + 23
    assert funding_deadline(TIP, NOW, NOW + 600 * 20 + 1) == TIP + 24
    with pytest.raises(InvalidInput):
        funding_deadline(TIP, NOW, NOW)


def test_terms_as_made_pass(terms):
    check_creation(terms, TIP, NOW, 18)
    assert date_of(F, TIP, NOW) == NOW + 56_400
    assert refund_height(terms) == F + 36


def test_another_deadline_or_a_past_date_is_refused(terms):
    with pytest.raises(InvalidInput, match="funding_deadline"):
        check_creation(terms, TIP + 1, NOW, 18)
    with pytest.raises(InvalidInput, match="in the past"):
        check_creation(terms, TIP, terms.schedule.entries_close, 18)


def test_f_leaves_eighteen_slow_blocks_before_the_observation(make_terms):
    # The closing fits before the observation, but F, 15 % later, does not.
    changes = {"schedule.entries_close": NOW + 61_200, "schedule.funding_deadline": TIP + 135}
    with pytest.raises(Refused, match="18 slow blocks"):
        check_creation(make_terms(changes), TIP, NOW, 18)


def test_an_attempt_starts_with_six_blocks_left(terms):
    assert may_start_attempt(terms, F - 6)
    assert not may_start_attempt(terms, F - 5)


def test_funding_is_broadcast_up_to_f_and_well_before_the_observation(terms):
    last = terms.observation.window.start - 18 * 900
    assert may_broadcast_funding(terms, F, last)
    assert not may_broadcast_funding(terms, F + 1, last)
    assert not may_broadcast_funding(terms, F, last + 1)


def test_cltv_of_a_ticket(make_terms, terms):
    assert hold_cltv_expiry(terms, TIP, 18) == 94 + 18 + 6 + 1 + 24
    assert hold_cltv_expiry(terms, F, 12) == 12 + 6 + 1 + 24
    with pytest.raises(InvalidInput):
        hold_cltv_expiry(terms, F + 1, 18)
    longest = make_terms({"schedule.funding_deadline": TIP + 432 - 49})
    assert hold_cltv_expiry(longest, TIP, 18) == 432
    with pytest.raises(HoldTooLong):
        hold_cltv_expiry(longest, TIP - 1, 18)


def test_left_counts_the_first_to_end_by_the_highest_tip():
    assert hold_left([1_000, 990], [900, 902], 18) == 990 - 902 - 18
    with pytest.raises(InvalidInput):
        hold_left([], [900], 18)
    assert enough_for_funding(33, 3)
    assert not enough_for_funding(32, 3)


@pytest.mark.parametrize(
    ("past", "left", "step"),
    [
        (0, 13, HoldStep.NONE),
        (11, 13, HoldStep.NONE),
        (12, 13, HoldStep.BUMP),
        (0, 12, HoldStep.BUMP),
        (0, 7, HoldStep.BUMP),
        (0, 6, HoldStep.DECIDE),
        (17, 13, HoldStep.BUMP),
        (18, 13, HoldStep.DECIDE),
    ],
)
def test_what_a_hold_asks_for_after_the_broadcast(terms, past, left, step):
    assert step_after_broadcast(terms, F + past, left) is step


def test_batches_and_quota():
    # P(3,1)*2 + 2*3 + 2 = 14 items; P(20,2)*3 + 42 = 1,182
    assert [batch_count(ContractShape(*shape)) for shape in ((3, 1), (20, 2))] == [1, 12]
    assert [max_signing_sessions(b) for b in (1, 4, 5, 12, 78)] == [4, 7, 9, 17, 100]
    with pytest.raises(InvalidInput):
        max_signing_sessions(0)


def test_time_in_which_a_service_was_down_does_not_count():
    assert window_end(1_000, 100, []) == 1_100
    assert window_end(1_000, 100, [(900, 1_010)]) == 1_110
    assert window_end(1_000, 100, [(1_050, 1_060), (1_055, 1_070)]) == 1_120
    assert window_end(1_000, 100, [(1_110, 1_120)]) == 1_100
    # The second outage counts only because the first one moved the end.
    assert window_end(1_000, 100, [(1_110, 1_120), (1_050, 1_070)]) == 1_130
    assert window_end(1_000, 100, [(1_060, 1_050)]) == 1_100


def test_late_is_after_three_quarters_and_counts_from_the_third_attempt():
    assert not was_late(1_000, 100, 1_075, [])
    assert was_late(1_000, 100, 1_076, [])
    assert not was_late(1_000, 100, 1_125, [(1_010, 1_060)])
    assert was_late(1_000, 100, 1_126, [(1_010, 1_060)])
    assert was_late(1_000, 100, 1_076, [(1_076, 1_090)])
    assert [is_left_out(attempt, True) for attempt in (2, 3, 8)] == [False, True, True]
    assert not is_left_out(3, False)
