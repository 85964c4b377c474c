"""Circuit breakers: five silences within a minute, one probe every ten seconds, closed by any answer."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from coordinator.domain.duties import Channel
from coordinator.engine.breakers import CHANNELS, Breakers
from coordinator.engine.components import Dependency
from coordinator.engine.metrics.meters import Meters


@dataclass
class Hand:
    seconds: float = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def breakers(hand: Hand, meters: Meters) -> Breakers:
    return Breakers(hand, meters.breakers)


def silent(breakers: Breakers, times: int = 5, channel: str = "keymeld") -> None:
    for _ in range(times):
        breakers.note(channel, answered=False)


def test_fifth_silence_within_a_minute_opens_one_channel(breakers: Breakers) -> None:
    silent(breakers, 4)
    assert breakers.open == frozenset()
    silent(breakers, 1)
    assert breakers.open == {"keymeld"}
    assert breakers.allowed("oracle", 4) == 4


def test_silences_that_are_far_apart_do_not_open_it(breakers: Breakers, hand: Hand) -> None:
    for _ in range(20):
        silent(breakers, 1)
        hand.seconds += 15.1
    assert breakers.open == frozenset()


def test_an_answer_between_starts_the_count_again(breakers: Breakers) -> None:
    for _ in range(5):
        silent(breakers, 4)
        assert breakers.open == frozenset()
        breakers.note("keymeld", answered=True)


def test_open_one_lets_one_duty_through_every_ten_seconds(breakers: Breakers, hand: Hand) -> None:
    silent(breakers)
    let: list[float] = []
    for second in range(60):
        hand.seconds = 1_000.0 + second
        if allowed := breakers.allowed("keymeld", 8):
            assert allowed == 1
            breakers.started("keymeld")
            breakers.note("keymeld", answered=False)
            let.append(hand.seconds)
    assert let == [1_010.0, 1_020.0, 1_030.0, 1_040.0, 1_050.0]


def test_probe_that_is_answered_closes_it(breakers: Breakers, hand: Hand) -> None:
    silent(breakers)
    hand.seconds += 10
    breakers.started("keymeld")
    breakers.note("keymeld", answered=True)
    assert breakers.allowed("keymeld", 8) == 8


@pytest.mark.parametrize("dependency", list(Dependency))
def test_service_that_is_seen_back_closes_all_its_channels(breakers: Breakers, dependency: Dependency) -> None:
    for channel in Channel:
        silent(breakers, channel=channel.value)
    assert breakers.open == {channel.value for channel in Channel} - {"local"}
    breakers.back(dependency)
    assert breakers.open == {c.value for c in Channel} - {"local"} - {c.value for c in CHANNELS[dependency]}


def test_state_is_in_the_metrics(breakers: Breakers, meters: Meters) -> None:
    assert 'coordinator_breaker_open{channel="keymeld"} 0' in meters.exposition()
    silent(breakers)
    assert 'coordinator_breaker_open{channel="keymeld"} 1' in meters.exposition()


def test_silence_is_told_without_a_gap_and_each_part_once(breakers: Breakers, hand: Hand) -> None:
    """From the first of the silences until the last probe: the windows of the closing count none of it."""
    parts: list[tuple[float, float]] = []
    for second in (1_000, 1_002, 1_003, 1_004, 1_005, 1_015, 1_025):
        hand.seconds = float(second)
        if breakers.allowed("keymeld", 8) == 1:
            breakers.started("keymeld")
        silent(breakers, 1)
        if (part := breakers.silence("keymeld")) is not None:
            parts.append((hand.seconds + part.began, hand.seconds + part.ends))
            breakers.covered("keymeld", part)
        assert breakers.silence("keymeld") is None
    assert parts == [(1_000.0, 1_015.0), (1_015.0, 1_025.0), (1_025.0, 1_035.0)]
    breakers.back(Dependency.KEYMELD)
    assert breakers.silence("keymeld") is None
    assert breakers.silence("local") is None


def test_silence_that_was_not_written_down_is_part_of_the_next(breakers: Breakers, hand: Hand) -> None:
    silent(breakers)
    assert breakers.silence("keymeld") is not None
    hand.seconds += 12
    breakers.started("keymeld")
    silent(breakers, 1)
    later = breakers.silence("keymeld")
    assert later is not None
    assert (hand.seconds + later.began, hand.seconds + later.ends) == (1_000.0, 1_022.0)
