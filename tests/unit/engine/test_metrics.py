"""Metrics: labels have closed sets, unknown is not zero, the text is Prometheus' format."""

from __future__ import annotations

import math
import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from coordinator.engine.metrics.instruments import OTHER, SECONDS, Counter, Gauge, Histogram
from coordinator.engine.metrics.meters import Meters

SAMPLE = re.compile(r'^coordinator_[a-z_]+(\{([a-z_]+="[^"\\\n]*",?)+\})? (NaN|[+-]Inf|-?[0-9.e+-]+)$')


@given(st.lists(st.tuples(st.text(), st.text()), max_size=30))
def test_no_value_from_outside_becomes_a_series(values: list[tuple[str, str]]) -> None:
    counter = Counter("x_total", "x", {"kind": ("a", "b"), "outcome": ("done",)})
    for pair in values:
        counter.add(*pair)
    lines = list(counter.lines())[2:]
    assert len(lines) <= 3 * 2
    for line in lines:
        assert re.fullmatch(r'coordinator_x_total\{kind="(a|b|other)",outcome="(done|other)"\} \d+', line)
    assert sum(int(line.rpartition(" ")[2]) for line in lines) == len(values)


def test_ten_thousand_competitions_make_no_further_series() -> None:
    meters = Meters()
    for _ in range(10_000):
        name = str(uuid.uuid4())
        meters.transitions.add(name, "completed")
        meters.attempts.add(name, "done")
        meters.requests.add("GET", f"/competitions/{name}", "2xx")
    meters.lanes.replace({str(uuid.uuid4()): 1 for _ in range(100)})
    text = meters.exposition()
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", text)
    assert len(text.splitlines()) < 200
    assert 'coordinator_lanes{state="other"} 100' in text


def test_every_line_is_in_the_format() -> None:
    meters = Meters()
    meters.duty_seconds.observe(0.2, "chain")
    meters.chain_lag.set(math.nan)
    meters.requests.add("GET", "/", "2xx")
    for line in meters.exposition().splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or SAMPLE.match(line), line


def test_routes_are_known_once_they_are_served() -> None:
    meters = Meters()
    meters.requests.add("GET", "/livez", "2xx")
    meters.serve({"/livez"})
    meters.requests.add("GET", "/livez", "2xx")
    samples = [line for line in meters.requests.lines() if not line.startswith("#")]
    assert [re.search('route="([^"]+)"', line)[1] for line in samples] == ["/livez", OTHER]  # type: ignore[index]


def test_a_histogram_counts_up_to_everything() -> None:
    histogram = Histogram("h_seconds", "h")
    for seconds in (0.0, SECONDS[0], 0.3, 1_000.0):
        histogram.observe(seconds)
    lines = list(histogram.lines())
    assert f'coordinator_h_seconds_bucket{{le="{SECONDS[0]}"}} 2' in lines
    assert 'coordinator_h_seconds_bucket{le="0.5"} 3' in lines
    assert 'coordinator_h_seconds_bucket{le="+Inf"} 4' in lines
    assert "coordinator_h_seconds_count 4" in lines


def test_a_gauge_forgets_what_is_not_given_again() -> None:
    gauge = Gauge("g", "g", {"state": ("a", "b")})
    gauge.replace({"a": 1, "b": 2})
    gauge.replace({"b": 3})
    assert list(gauge.lines())[2:] == ['coordinator_g{state="b"} 3']
