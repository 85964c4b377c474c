"""Back-off: doubles to its limit, spreads what failed together, has no last attempt."""

from __future__ import annotations

from collections import Counter

from coordinator.engine import backoff


def test_longest_pause_doubles_to_half_a_minute() -> None:
    assert [backoff.longest(n) for n in (0, 1, 2, 5, 6, 10_000)] == [0.5, 1.0, 2.0, 16.0, 30.0, 30.0]


def test_pause_is_anywhere_up_to_the_longest(monkeypatch) -> None:
    asked: list[tuple[float, float]] = []
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: asked.append((low, high)) or high)
    assert backoff.pause(3) == 4.0
    monkeypatch.setattr(backoff.random, "uniform", lambda low, high: low)
    assert backoff.pause(3) == backoff.LEAST_SECONDS
    assert asked == [(0.0, 4.0)]


def test_what_failed_together_does_not_come_back_together() -> None:
    seconds = Counter(int(backoff.pause(9)) for _ in range(1_000))
    assert max(seconds.values()) < 100
