"""Controls and planning routes, by hand."""

import pytest

DAY = 86_400


async def refused(bench, path: str, body: object) -> str:
    response = await bench.http.post(f"/control{path}", json=body)
    assert response.status_code == 400
    return response.json()["error"]


@pytest.mark.parametrize("body", [{}, {"now": 1, "advance": 1}, {"advance": -1}, {"now": "noon"}, {"then": 1}])
async def test_the_clock_takes_one_setting(bench, body) -> None:
    await refused(bench, "/clock", body)


async def test_the_clock_stands_goes_on_and_follows_the_machine(bench) -> None:
    assert (await bench.control("/clock", {"now": "2026-01-01T00:00:00Z"}))["now"] == 1_767_225_600
    assert (await bench.control("/clock", {"advance": 60}))["now"] == 1_767_225_660
    assert (await bench.control("/clock", {"follow_machine": True}))["now"] > 1_767_225_660


@pytest.mark.parametrize(
    "row",
    [
        {"station_id": "KXYZ", "metric": "temp_high", "time": 1, "value": 1.0},
        {"station_id": "KORD", "metric": "tide", "time": 1, "value": 1.0},
        {"station_id": "KORD", "metric": "temp_high", "time": 1, "value": 1e9},
        {"station_id": "KORD", "metric": "temp_high", "time": 1, "value": "hot"},
    ],
)
async def test_scripted_weather_is_checked_whole_before_it_is_kept(bench, row, now) -> None:
    good = {"station_id": "KORD", "metric": "temp_high", "time": now - 60, "value": 199.0}
    await refused(bench, "/observations", {"observations": [good, row]})
    assert bench.store.observations("KORD", "temp_high", 0, now) == []


async def test_a_forecast_is_not_issued_in_the_future(bench, now) -> None:
    row = {"station_id": "KORD", "metric": "temp_high", "time": now + DAY, "value": 1.0, "issued_at": now + 1}
    assert "future" in await refused(bench, "/observations", {"forecasts": [row]})


async def test_generated_weather_is_the_same_for_ever_and_plausible(bench, now) -> None:
    query = {"station_ids": "KORD,KMIA", "start": "2026-09-14T00:00:00Z", "end": "2026-09-15T00:00:00Z"}
    chicago, miami = await bench.get("/stations/observations", **query)
    assert await bench.get("/stations/observations", **query) == [chicago, miami]
    assert -30 < chicago["temp_low"] < chicago["temp_high"] < miami["temp_high"] < 130
    assert 0 <= chicago["wind_direction"] < 360
    rows = await bench.get("/stations/forecasts", station_ids="KORD")
    assert [row["date"] for row in rows] == [f"2026-09-{day}" for day in range(21, 29)]
    assert all(row["temp_low"] <= row["temp_high"] for row in rows)


async def test_eligible_stations_with_forecasts_of_a_window(bench) -> None:
    query = {"start": "2026-09-22T00:00:00Z", "end": "2026-09-23T00:00:00Z"}
    found = await bench.get("/stations/eligible/forecasts", **query)
    assert len(found["stations"]) == len(found["forecasts"]) == len(await bench.get("/stations")) == 20
    assert len(await bench.get("/stations/eligible", days="2", window_hours="12")) == 20
    for bad in (
        {**query, "days": "4"},
        {**query, "end": "2026-09-24T00:00:01Z"},
        {**query, "start": "2026-09-01T00:00:00Z"},
        {**query, "color": "blue"},
        {"start": "soon", "end": "2026-09-23T00:00:00Z"},
        {"start": "2026-09-22T00:00:00", "end": "2026-09-23T00:00:00Z"},
    ):
        assert (await bench.http.get("/stations/eligible/forecasts", params=bad)).status_code == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"station_ids": ",".join(f"K{i}" for i in range(21))},
        {"station_ids": "KORD,KORD"},
        {"station_ids": ""},
        {"metrics": "tide"},
        {"metrics": "humidity,humidity"},
        {"end": "2026-09-30T00:00:00Z"},
        {"end": "2026-09-21T00:00:00Z"},
        {"more": "1"},
    ],
)
async def test_a_query_for_compatibility_has_rules(bench, changes) -> None:
    query = {"station_ids": "KORD", "start": "2026-09-22T00:00:00Z", "end": "2026-09-23T00:00:00Z"}
    answer = await bench.get("/stations/window-compatibility", **query)
    assert [row["metric"] for row in answer["forecasts"]] == ["temp_high", "temp_low", "wind_speed"]
    assert answer["settlement_ready"] is False
    response = await bench.http.get("/stations/window-compatibility", params={**query, **changes})
    assert response.status_code == 400
