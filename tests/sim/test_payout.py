"""A prize is paid once, however often it is asked for and whatever Lightning says of it (G15)."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from coordinator_core.units import Sats
from tests.harness.sim import payout
from tests.harness.sim.payout import CONFLICT, REQUESTS, SEND, TAKEN, Payouts
from tests.harness.sim.world import simulate

RIGHT = Payouts(
    answers=Counter({TAKEN: 1, CONFLICT: REQUESTS - 1}),
    sends=2,
    lost=Counter({SEND: 2}),
    payments=Counter({"SUCCEEDED": 1}),
    received=Sats(1_000),
    net=Sats(1_000),
    state="PAID",
    books=0,
    seconds=1.0,
)


def test_fifty_requests_and_four_lost_answers_are_one_payment() -> None:
    found = simulate(payout.play, seed="payout")
    assert found.violations == ()


def test_a_second_payment_and_a_test_without_losses_are_told() -> None:
    assert RIGHT.violations == ()
    twice = replace(RIGHT, payments=Counter({"SUCCEEDED": 2}), received=Sats(2_000), books=-1)
    assert twice.violations == (
        "Lightning made {'SUCCEEDED': 2}",
        "the winner got 2000 of 1000 sat",
        "the books differ by -1 msat",
    )
    assert replace(RIGHT, sends=1, lost=Counter({SEND: 1})).violations == (
        "1 times sent",
        "only 1 acknowledgements got lost",
    )
    assert replace(RIGHT, answers=Counter({TAKEN: 2, CONFLICT: REQUESTS - 3, 500: 1})).violations == (
        "2 requests were taken",
        f"others were answered {{200: 2, 409: {REQUESTS - 3}, 500: 1}}",
    )
