"""Creating and reading events: every rule with its sentence, and what is served."""

import base64
import json
from itertools import permutations

import pytest

from coordinator_core.secp256k1 import is_point

DAY = 86_400


async def refused(bench, event, **changes) -> str:
    response = await bench.post("/oracle/events", {**event, **changes})
    assert response.status_code == 400, response.text
    return response.json()["error"]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"id": "01926f3a-0000-4000-8000-000000000001"},
            "event id 01926f3a-0000-4000-8000-000000000001 is not a UUIDv7",
        ),
        ({"source": "tides"}, 'unknown source "tides"; see GET /oracle/sources'),
        (
            {"end_observation_date": "2020-01-01T00:00:00Z"},
            "observation start must be before its end, and the end no later than the signing date",
        ),
        (
            {"signing_date": "2020-01-01T00:00:00Z"},
            "observation start must be before its end, and the end no later than the signing date",
        ),
        ({"total_allowed_entries": 1}, "total_allowed_entries must be between 2 and 25, requested 1"),
        ({"total_allowed_entries": 26}, "total_allowed_entries must be between 2 and 25, requested 26"),
        (
            {"number_of_places_win": 0},
            "number_of_places_win must be between 1 and 5 and fewer than the entries, requested 0",
        ),
        (
            {"number_of_places_win": 3},
            "number_of_places_win must be between 1 and 5 and fewer than the entries, requested 3",
        ),
        (
            {"number_of_places_win": 6, "total_allowed_entries": 9},
            "number_of_places_win must be between 1 and 5 and fewer than the entries, requested 6",
        ),
        (
            {"number_of_places_win": 4, "total_allowed_entries": 14},
            "14 entries with 4 places produce too many outcomes (max 20000)",
        ),
        ({"locations": []}, "an event needs between 1 and 50 distinct locations"),
        ({"locations": ["KORD", "KORD"]}, "an event needs between 1 and 50 distinct locations"),
        ({"locations": [f"K{i}" for i in range(51)]}, "an event needs between 1 and 50 distinct locations"),
        ({"scoring_fields": []}, "scoring fields must be distinct metrics of the source, at least one"),
        ({"scoring_fields": ["tide"]}, "scoring fields must be distinct metrics of the source, at least one"),
        (
            {"scoring_fields": ["rain_amt", "rain_amt"]},
            "scoring fields must be distinct metrics of the source, at least one",
        ),
        ({"number_of_values_per_entry": 5}, "number_of_values_per_entry must be between 1 and 4, requested 5"),
        ({"number_of_values_per_entry": 0}, "number_of_values_per_entry must be between 1 and 4, requested 0"),
        ({"signing_date": "2200-01-01T00:00:00Z"}, "signing date is outside the DLC expiry range"),
        ({"lines_from_event": "01926f3a-0000-7000-8000-000000000009"}, "lines_from_event needs lines scoring rules"),
        (
            {"scoring_rules": "lines", "scoring_fields": ["rain_amt"]},
            "rain_amt cannot be scored against lines; use fixed scoring rules",
        ),
        (
            {"scoring_rules": "lines", "lines_from_event": "01926f3a-0000-7000-8000-000000000009"},
            "lines_from_event 01926f3a-0000-7000-8000-000000000009 is not an event on this oracle",
        ),
    ],
)
async def test_each_rule_is_refused_with_its_sentence(bench, event, changes, sentence) -> None:
    assert await refused(bench, event, **changes) == sentence
    assert await bench.get("/oracle/events") == []


@pytest.mark.parametrize("locations", [["K ORD"], ["K" * 17], ["KÖRD"], [""]])
async def test_a_target_of_another_form_is_refused(bench, event, locations) -> None:
    assert "invalid target" in await refused(bench, event, locations=locations)


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"id":1}', b"\xff", b'{"id":"x"}'],
)
async def test_a_body_that_is_no_event_is_refused(bench, body: bytes) -> None:
    response = await bench.post("/oracle/events", body)
    assert response.status_code == 400
    assert response.json()["error"].startswith("invalid JSON body")


@pytest.mark.parametrize(
    "changes",
    [{"number_of_places_win": -1}, {"number_of_places_win": 1.5}, {"signing_date": "tomorrow"}, {"locations": "KORD"}],
)
async def test_members_of_another_type_are_refused(bench, event, changes) -> None:
    assert (await refused(bench, event, **changes)).startswith("invalid JSON body")


async def test_windows_are_a_day_or_one_half_of_it(bench, event, now) -> None:
    noon, midnight = "2026-09-23T12:00:00Z", "2026-09-23T00:00:00Z"
    ends = {"signing_date": "2026-09-25T00:00:00Z"}
    short = await refused(
        bench, event, start_observation_date=noon, end_observation_date="2026-09-23T13:00:00Z", **ends
    )
    assert short.startswith("observation window must be at least 24 hours, or a day")
    odd = {"start_observation_date": "2026-09-23T12:00:01Z", "end_observation_date": "2026-09-24T00:00:01Z"}
    assert "at least 24 hours" in await refused(bench, event, **odd, **ends)
    day = {"start_observation_date": noon, "end_observation_date": "2026-09-24T00:00:00Z", **ends}
    assert "temp_low" in await refused(bench, event, scoring_fields=["temp_low"], **day)
    night = {"start_observation_date": midnight, "end_observation_date": noon, **ends}
    assert "temp_high" in await refused(bench, event, scoring_fields=["temp_high"], **night)
    assert "humidity" in await refused(bench, event, scoring_fields=["humidity"], **night)
    created = await bench.create({**event, "scoring_fields": ["temp_high"], "number_of_values_per_entry": 1, **day})
    assert created["end_observation_date"] == "2026-09-24T00:00:00Z"


async def test_an_event_needs_a_forecast_for_every_pair(bench, event) -> None:
    assert "KXYZ/temp_high: The station is not in the forecast" in await refused(bench, event, locations=["KXYZ"])
    far = {
        "start_observation_date": "2026-10-20T00:00:00Z",
        "end_observation_date": "2026-10-21T00:00:00Z",
        "signing_date": "2026-10-21T01:00:00Z",
    }
    assert "No verified baseline covers this metric and window" in await refused(bench, event, **far)


async def test_the_announcement_of_a_new_event(bench, event, now) -> None:
    created = await bench.create({**event, "a_member_we_do_not_know": 1})
    assert created["status"] == "Live"
    assert created["event_announcement"]["expiry"] == now + DAY // 2 + DAY + 3_600 + DAY
    points = created["event_announcement"]["locking_points"]
    assert len(points) == len(list(permutations(range(3), 1))) + 1
    assert all(is_point(bytes.fromhex(point)) for point in [*points, created["nonce_point"]])
    assert created["coordinator_pubkey"].startswith("npub1")
    assert created["attestation"] is None
    assert created["entries"] == created["entry_ids"] == []
    absent = {"statement", "settlement_block", "lines", "settled_without_entries_at", "nonce"}
    assert not absent & set(created)
    assert await bench.get(f"/oracle/events/{event['id']}") == created


async def test_the_other_names_of_locations_and_scoring_fields(bench, event) -> None:
    event["targets"], event["metrics"] = event.pop("locations"), event.pop("scoring_fields")
    created = await bench.create(event)
    assert (created["locations"], created["scoring_fields"]) == (["KORD", "KSAW"], ["temp_high", "wind_speed"])
    assert "duplicate field" in await refused(bench, event, locations=["KORD"])
    event.pop("targets")
    assert "missing field `locations`" in await refused(bench, event)


async def test_metrics_default_to_the_three_of_the_source(bench, event) -> None:
    event.pop("scoring_fields")
    assert (await bench.create(event))["scoring_fields"] == ["temp_high", "temp_low", "wind_speed"]


async def test_a_second_event_of_the_same_id_does_not_replace_the_first(bench, event) -> None:
    first = await bench.create(event)
    response = await bench.post("/oracle/events", {**event, "number_of_places_win": 2})
    assert (response.status_code, response.json()) == (500, {"error": "internal server error"})
    assert await bench.get(f"/oracle/events/{event['id']}") == first


async def test_the_list_is_newest_first_bounded_and_filtered(bench, event) -> None:
    ids = [f"01926f3a-0000-7000-8000-{i:012x}" for i in (3, 1, 2)]
    for number, each in enumerate(ids):
        await bench.create({**event, "id": each, "unlisted": number == 1})
    rows = await bench.get("/oracle/events")
    assert [row["id"] for row in rows] == ids[::-1]
    assert [row["id"] for row in await bench.get("/oracle/events", limit="0")] == [ids[2]]
    picked = await bench.get("/oracle/events", event_ids=f"{ids[0]}, {ids[1]}")
    assert [row["id"] for row in picked] == [ids[1], ids[0]]
    hidden = {"entry_ids", "entries", "event_announcement", "coordinator_pubkey", "lines", "statement"}
    assert not hidden & set(rows[0])
    assert rows[0]["total_entries"] == 0
    for query in ({"event_ids": "abc"}, {"limit": "-1"}, {"limit": "x"}):
        response = await bench.http.get("/oracle/events", params=query)
        assert response.status_code == 400
        assert response.json()["error"].startswith("invalid event filter")


async def test_unknown_things_are_not_found(bench, event) -> None:
    await bench.create(event)
    missing = "01926f3a-0000-7000-8000-0000000000ff"
    for path in (f"/oracle/events/{missing}", f"/oracle/events/{event['id']}/entries/{missing}"):
        response = await bench.http.get(path)
        assert response.status_code == 404
        assert "not found" in response.json()["error"]
    assert (await bench.http.get("/oracle/events/abc")).status_code == 400
    assert (await bench.http.get("/nowhere")).status_code == 404


async def test_an_event_survives_a_restart_byte_for_byte(bench, event) -> None:
    created = await bench.create(event)
    await bench.reopen()
    assert await bench.get(f"/oracle/events/{event['id']}") == created


async def test_the_largest_event_is_announced(bench, event) -> None:
    created = await bench.create({**event, "total_allowed_entries": 9, "number_of_places_win": 5})
    assert len(created["event_announcement"]["locking_points"]) == 15_121


async def test_pages_of_any_origin_may_read_but_not_send_signatures(bench) -> None:
    response = await bench.http.get("/oracle/pubkey", headers={"Origin": "https://page.test"})
    assert response.headers["access-control-allow-origin"] == "*"
    assert len(base64.b64decode(response.json()["key"])) == 33
    preflight = await bench.http.options(
        "/oracle/events",
        headers={
            "Origin": "https://page.test",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert "authorization" not in preflight.headers.get("access-control-allow-headers", "").lower()


async def test_long_answers_are_compressed(bench, event) -> None:
    await bench.create({**event, "total_allowed_entries": 25})
    response = await bench.http.get(f"/oracle/events/{event['id']}", headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert json.loads(response.content)["total_allowed_entries"] == 25
