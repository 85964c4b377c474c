"""Submitting entries: every rule with its sentence, the older form, the statement that follows."""

import pytest

PATH = "/oracle/events/01926f3a-0000-7000-8000-000000000001/entries"
KORD_HIGH = {"target": "KORD", "metric": "temp_high", "prediction": "Over"}


def an_id(number: int) -> str:
    return f"01926f3a-0000-7000-8000-{number:012x}"


async def test_entries_are_stored_in_id_order_in_both_forms(bench, event, entries) -> None:
    await bench.create(event)
    response = await bench.post(PATH, entries)
    assert response.status_code == 200
    assert [row["id"] for row in response.json()] == [an_id(30), an_id(10), an_id(20)]
    served = await bench.get(f"/oracle/events/{event['id']}")
    assert served["entry_ids"] == [an_id(10), an_id(20), an_id(30)]
    first = served["entries"][0]
    assert first["picks"] == [{**KORD_HIGH, "prediction": "Par"}]
    assert first["expected_observations"] == [
        {
            "stations": "KORD",
            "temp_high": "Par",
            "temp_low": None,
            "wind_speed": None,
            "wind_direction": None,
            "rain_amt": None,
            "snow_amt": None,
            "humidity": None,
        }
    ]
    assert (first["score"], first["base_score"]) == (None, None)
    assert await bench.get(f"{PATH}/{an_id(10)}") == first
    assert served["statement"]["statement"]["outcomes"]["entry_ids"] == served["entry_ids"]


async def test_the_older_form_means_the_same_picks(bench, event, entries) -> None:
    await bench.create(event)
    old = {"stations": "KSAW", "wind_speed": "Under", "temp_high": "Over"}
    entries["entries"][0] = {"id": an_id(30), "event_id": an_id(1), "expected_observations": [old]}
    response = await bench.post(PATH, entries)
    assert response.json()[0]["picks"] == [
        {"target": "KSAW", "metric": "temp_high", "prediction": "Over"},
        {"target": "KSAW", "metric": "wind_speed", "prediction": "Under"},
    ]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"id": "01926f3a-0000-4000-8000-000000000030"}, "entry id 01926f3a-0000-4000-8000-000000000030 is not"),
        ({"event_id": an_id(2)}, f"entry {an_id(30)} belongs to event {an_id(2)}, not {an_id(1)}"),
        ({"id": an_id(10)}, f"entry id {an_id(10)} appears more than once"),
        ({"picks": []}, f"entry {an_id(30)} must make between 1 and 2 picks"),
        (
            {"picks": [KORD_HIGH, {**KORD_HIGH, "target": "KSAW"}, {**KORD_HIGH, "metric": "wind_speed"}]},
            f"entry {an_id(30)} must make between 1 and 2 picks",
        ),
        ({"picks": [KORD_HIGH, KORD_HIGH]}, f'entry {an_id(30)} picks temp_high at "KORD" twice'),
        (
            {"picks": [{**KORD_HIGH, "target": "KDEN"}]},
            f'entry {an_id(30)} picks location "KDEN", which is not in the event',
        ),
        (
            {"picks": [{**KORD_HIGH, "metric": "humidity"}]},
            f"entry {an_id(30)} picks humidity, which the event does not score",
        ),
        (
            {"expected_observations": [{"stations": "KORD", "temp_high": "Par"}]},
            f"entry {an_id(30)} must use exactly one of `picks` or `expected_observations`",
        ),
        ({"picks": [{**KORD_HIGH, "prediction": "over"}]}, "invalid JSON body"),
    ],
)
async def test_each_rule_is_refused_with_its_sentence(bench, event, entries, changes, sentence) -> None:
    await bench.create(event)
    entries["entries"].append({**entries["entries"].pop(0), **changes})
    response = await bench.post(PATH, entries)
    assert response.status_code == 400
    assert response.json()["error"].startswith(sentence)
    assert (await bench.get(f"/oracle/events/{event['id']}"))["entries"] == []


async def test_the_number_of_entries_is_exact(bench, event, entries) -> None:
    await bench.create(event)
    entries["entries"].pop()
    response = await bench.post(PATH, entries)
    assert (response.status_code, response.json()["error"]) == (400, "the event needs exactly 3 entries, received 2")


async def test_entries_are_taken_once_and_until_the_window_ends(bench, event, entries, now) -> None:
    await bench.create(event)
    bench.clock.set(now + 43_200 + 86_400)
    late = await bench.post(PATH, entries)
    assert late.json()["error"] == "entries are only accepted before the observation window ends"
    bench.clock.set(now + 43_200 + 86_399)
    assert (await bench.post(PATH, entries)).status_code == 200
    again = await bench.post(PATH, entries)
    assert (again.status_code, again.json()["error"]) == (409, "entries were already submitted for this event")


async def test_entries_belong_to_the_coordinator_that_made_the_event(bench, event, entries) -> None:
    await bench.create(event)
    response = await bench.post(PATH, entries, bench.other)
    assert response.status_code == 403
    assert response.json()["error"] == f"event {event['id']} belongs to another coordinator"


async def test_the_path_names_the_event_of_the_body(bench, event, entries) -> None:
    await bench.create(event)
    entries["event_id"] = an_id(2)
    response = await bench.post(PATH, entries)
    assert response.status_code == 400
    assert "but were posted to event" in response.json()["error"]
    entries["event_id"] = an_id(1)
    missing = await bench.post(PATH.replace("0001/", "0007/"), {**entries, "event_id": an_id(7)})
    assert missing.status_code == 404
