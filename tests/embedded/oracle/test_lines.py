"""Fitting, serving and copying lines."""

import pytest

from coordinator.embedded.oracle.lines import fit
from coordinator.embedded.oracle.scoring import Band

DAY = 86_400


@pytest.mark.parametrize(
    ("misses", "band"),
    [
        ([], None),
        ([1.0, 1.0, 2.0], None),
        ([1.0, 2.0, 3.0], Band(1.5, 2.5)),
        ([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0], Band(-1.5, 0.5)),
        # Half of all misses are 0: whatever the cuts, Par keeps them; the shares 2, 8, 2 are the nearest.
        ([-2.0, -1.0, *[0.0] * 8, 1.0, 2.0], Band(-0.5, 0.5)),
        # Equal on both sides: the lower pair of cuts was found first.
        ([0.0, 0.0, 1.0, 1.0, 2.0, 2.0, 3.0, 3.0], Band(0.5, 1.5)),
    ],
)
def test_fit(misses: list[float], band: Band | None) -> None:
    assert fit(misses) == band
    assert fit(reversed(misses)) == band


async def test_lines_are_served_for_every_pair(bench) -> None:
    answer = await bench.get("/oracle/lines", targets="KORD,KNEW", metrics="temp_high")
    station, pooled = answer["lines"]
    assert answer["missing"] == []
    assert (station["target"], station["level"], station["windows"]) == ("KORD", "station", 60)
    assert (pooled["target"], pooled["level"], pooled["windows"]) == ("KNEW", "pooled", 1_200)
    assert station["over"] + station["par"] + station["under"] == 60
    assert station["lower"] < station["upper"]
    assert station["last_window"] == "2026-09-20T00:00:00Z"


async def test_a_station_with_few_windows_gets_the_pooled_line(bench, now) -> None:
    today = now - now % DAY
    gone = [
        {"station_id": "KORD", "metric": "temp_high", "time": today - days * DAY, "value": None}
        for days in range(1, 42)
    ]
    await bench.control("/observations", {"observations": gone})
    (line,) = (await bench.get("/oracle/lines", targets="KORD", metrics="temp_high"))["lines"]
    assert line["level"] == "pooled"


@pytest.mark.parametrize(
    "query",
    [
        {"targets": ""},
        {"targets": ",".join(f"K{i}" for i in range(51))},
        {"targets": "KORD", "metrics": "rain_amt"},
        {"targets": "KORD", "metrics": "tide"},
        {"targets": "K ORD"},
        {"targets": "KORD", "source": "tides"},
        {"targets": "KORD", "window_hours": "337"},
    ],
)
async def test_a_query_for_lines_has_rules(bench, query) -> None:
    response = await bench.http.get("/oracle/lines", params=query)
    assert response.status_code == 400


async def test_lines_are_copied_from_an_earlier_event_of_the_same_coordinator(bench, event, now) -> None:
    first = await bench.create({**event, "scoring_rules": "lines", "unlisted": True})
    assert len(first["lines"]) == 4
    bench.clock.set(now + DAY // 4)
    await bench.control(
        "/observations",
        {
            "observations": [
                {"station_id": "KORD", "metric": "temp_high", "time": now - DAY * i, "value": 150.0}
                for i in range(2, 30)
            ]
        },
    )
    ids = [f"01926f3a-0000-7000-8000-{i:012x}" for i in range(2, 8)]
    copy = {**event, "scoring_rules": "lines", "lines_from_event": event["id"]}
    second = await bench.create({**copy, "id": ids[0]})
    assert second["lines"] == first["lines"]
    fresh = await bench.create({**event, "id": ids[1], "scoring_rules": "lines"})
    assert fresh["lines"] != first["lines"]
    response = await bench.post("/oracle/events", {**copy, "id": ids[2]}, bench.other)
    assert response.json()["error"] == f"lines_from_event {event['id']} was created by another coordinator"
    response = await bench.post("/oracle/events", {**copy, "id": ids[2], "locations": ["KORD", "KMIA"]})
    assert response.json()["error"] == (
        f"lines_from_event {event['id']} has no line fitted on this event's window length for "
        "KMIA/temp_high, KMIA/wind_speed"
    )
    await bench.create({**event, "id": ids[3]})
    response = await bench.post("/oracle/events", {**copy, "id": ids[4], "lines_from_event": ids[3]})
    assert response.json()["error"] == f"lines_from_event {ids[3]} does not use lines scoring rules"


async def test_the_statement_signs_the_lines_sorted(bench, event, entries) -> None:
    event["locations"] = ["KSAW", "KORD"]
    await bench.create({**event, "scoring_rules": "lines"})
    await bench.post(f"/oracle/events/{event['id']}/entries", entries)
    served = await bench.get(f"/oracle/events/{event['id']}")
    stated = served["statement"]["statement"]["terms"]["lines"]
    assert [(line["target"], line["metric"]) for line in stated] == [
        ("KORD", "temp_high"),
        ("KORD", "wind_speed"),
        ("KSAW", "temp_high"),
        ("KSAW", "wind_speed"),
    ]
    by_pair = {(line["target"], line["metric"]): line for line in served["lines"]}
    for line in stated:
        kept = by_pair[line["target"], line["metric"]]
        assert (line["lower"], line["upper"], line["window_hours"]) == (kept["lower"], kept["upper"], 24)
