"""From provisional scores to one attestation, or to none."""

from uuid import UUID

import pytest

from coordinator_core.secp256k1 import generator_mul

DAY = 86_400


@pytest.fixture
async def ready(bench, event, entries, now):
    """An event with entries: Par by index 0, Under by 1, Over by 2, all about the high at KORD."""
    await bench.create(event)
    assert (await bench.post(f"/oracle/events/{event['id']}/entries", entries)).status_code == 200
    bench.start = now + DAY // 2
    bench.signing = bench.start + DAY + 3_600
    bench.path = f"/oracle/events/{event['id']}"
    return bench


async def observe(bench, value: float | None, station: str = "KORD", metric: str = "temp_high") -> None:
    row = {"station_id": station, "metric": metric, "time": bench.start + 3_600, "value": value}
    await bench.control("/observations", {"observations": [row]})


async def forecast(bench, value: float | None, issued_at: int | None = None) -> None:
    row = {"station_id": "KORD", "metric": "temp_high", "time": bench.start + 3_600, "value": value}
    await bench.control("/observations", {"forecasts": [row if issued_at is None else {**row, "issued_at": issued_at}]})


@pytest.mark.parametrize(
    ("observed", "winner", "base_scores"), [(80, 2, [0, 0, 10]), (70, 0, [20, 0, 0]), (60, 1, [0, 10, 0])]
)
async def test_the_best_entry_is_attested_at_the_signing_date(ready, observed, winner, base_scores) -> None:
    await forecast(ready, 70.0)
    await observe(ready, observed)
    await ready.control("/clock", {"now": ready.signing - 1})
    assert (await ready.get(ready.path))["attestation"] is None
    assert await ready.control("/clock", {"advance": 1}) == {"now": ready.signing, "attested": 1}
    served = await ready.get(ready.path)
    assert served["status"] == "Signed"
    points = served["event_announcement"]["locking_points"]
    assert generator_mul(bytes.fromhex(served["attestation"])).hex() == points[winner]
    assert [entry["base_score"] for entry in served["entries"]] == base_scores
    assert [entry["score"] for entry in served["entries"]] == [max(1, base) * 10_000 for base in base_scores]
    assert await ready.control("/settle", {}) == {"attested": 0}


async def test_nobody_right_attests_refund_all(bench, event, entries, now) -> None:
    for entry in entries["entries"]:
        entry["picks"][0]["prediction"] = "Over"
    await bench.create(event)
    await bench.post(f"/oracle/events/{event['id']}/entries", entries)
    bench.start = now + DAY // 2
    await observe(bench, -40.0)
    await bench.control("/clock", {"now": bench.start + DAY + 3_600})
    served = await bench.get(f"/oracle/events/{event['id']}")
    assert (
        generator_mul(bytes.fromhex(served["attestation"])).hex() == served["event_announcement"]["locking_points"][3]
    )
    assert [entry["base_score"] for entry in served["entries"]] == [0, 0, 0]


async def test_a_forecast_from_after_the_start_changes_nothing(ready) -> None:
    await forecast(ready, 70.0)
    await ready.control("/clock", {"now": ready.start})
    await forecast(ready, 90.0)
    await observe(ready, 80.0)
    await ready.control("/clock", {"now": ready.signing})
    served = await ready.get(ready.path)
    reading = next(r for r in served["readings"] if (r["target"], r["metric"]) == ("KORD", "temp_high"))
    assert (reading["baseline"], reading["observed"]) == (70.0, 80.0)


async def test_the_latest_forecast_before_the_start_counts(ready, now) -> None:
    await forecast(ready, 70.0, now - 7_200)
    await forecast(ready, 75.0, now - 3_600)
    await forecast(ready, 60.0, now - 9 * DAY)
    compatible = await ready.get(
        "/stations/window-compatibility",
        station_ids="KORD",
        metrics="temp_high",
        start="2026-09-22T00:00:00Z",
        end="2026-09-23T00:00:00Z",
    )
    assert compatible["forecasts"][0]["baseline"] == 75.0


async def test_a_forecast_older_than_a_week_does_not_count(ready, now) -> None:
    await forecast(ready, 160.0, ready.start - 7 * DAY - 1)
    query = {"metrics": "temp_high", "start": "2026-09-22T00:00:00Z", "end": "2026-09-23T00:00:00Z"}
    path = "/stations/window-compatibility"
    assert (await ready.get(path, station_ids="KORD", **query))["forecasts"][0]["baseline"] < 160.0
    await forecast(ready, 161.0, ready.start - 7 * DAY)
    assert (await ready.get(path, station_ids="KORD", **query))["forecasts"][0]["baseline"] == 161.0


async def test_scores_are_provisional_while_the_window_runs(ready) -> None:
    await forecast(ready, 70.0)
    await observe(ready, 80.0)
    await ready.control("/clock", {"now": ready.start + 7_200})
    served = await ready.get(ready.path)
    assert (served["status"], served["attestation"]) == ("Running", None)
    assert [entry["base_score"] for entry in served["entries"]] == [0, 0, 10]
    assert served["weather"] == []
    await observe(ready, 60.0)
    await ready.control("/clock", {"advance": 60})
    assert [entry["base_score"] for entry in (await ready.get(ready.path))["entries"]] == [0, 0, 10]
    await ready.control("/clock", {"advance": 900})
    assert [entry["base_score"] for entry in (await ready.get(ready.path))["entries"]] == [0, 10, 0]


async def test_a_missing_reading_blocks_and_pauses_grow(ready) -> None:
    await observe(ready, None, "KSAW", "wind_speed")
    await ready.control("/clock", {"now": ready.signing})
    served = await ready.get(ready.path)
    assert served["attestation"] is None
    assert served["settlement_block"]["code"] == "incomplete_readings"
    assert "KSAW/wind_speed" in served["settlement_block"]["message"]
    for minutes, checked_again in ((14, False), (1, True), (29, False), (1, True)):
        before = (await ready.get(ready.path))["settlement_block"]["checked_at"]
        await ready.control("/clock", {"advance": 60 * minutes})
        after = (await ready.get(ready.path))["settlement_block"]["checked_at"]
        assert (before != after) is checked_again
    await observe(ready, 12.0, "KSAW", "wind_speed")
    served = await ready.get(ready.path)
    assert served["status"] == "Signed"
    assert "settlement_block" not in served


async def test_a_missing_baseline_is_final(ready) -> None:
    await forecast(ready, None)
    await ready.control("/clock", {"now": ready.signing})
    block = (await ready.get(ready.path))["settlement_block"]
    assert block["code"] == "baseline_unavailable"
    await ready.control("/clock", {"advance": DAY // 2})
    assert (await ready.get(ready.path))["settlement_block"] == block


async def test_nothing_is_signed_from_expiry_on(ready) -> None:
    await ready.control("/clock", {"now": ready.signing + DAY})
    assert await ready.control("/settle", {}) == {"attested": 0}
    served = await ready.get(ready.path)
    assert (served["status"], served["attestation"]) == ("Completed", None)


async def test_the_last_second_before_expiry_still_signs(ready) -> None:
    assert (await ready.control("/clock", {"now": ready.signing + DAY - 1}))["attested"] == 1


async def test_an_event_without_entries_is_closed(bench, event, now) -> None:
    await bench.create(event)
    await bench.control("/clock", {"now": now + DAY // 2 + DAY + 3_600})
    served = await bench.get(f"/oracle/events/{event['id']}")
    assert served["settled_without_entries_at"] == served["signing_date"]
    assert (served["status"], served["attestation"]) == ("Completed", None)
    assert not bench.store.save_attestation(UUID(event["id"]), bytes(32), [], [], now)


async def test_an_attestation_is_written_once(ready) -> None:
    await ready.control("/clock", {"now": ready.signing})
    before = (await ready.get(ready.path))["attestation"]
    found = ready.store.event(UUID(ready.path.rsplit("/", 1)[1]))
    assert not ready.store.save_attestation(found[0].id, bytes(32), [], [], ready.signing)
    await ready.reopen()
    assert (await ready.get(ready.path))["attestation"] == before


async def test_the_secret_nonce_is_nowhere(ready) -> None:
    event = ready.store.event(UUID(ready.path.rsplit("/", 1)[1]))[0]
    key = ready.oracle.key
    secret = key._nonce(event.id.bytes, event.nonce.salt).reveal()
    await ready.control("/clock", {"now": ready.signing})
    response = await ready.http.get(ready.path)
    assert secret.hex() not in response.text
    assert event.nonce.salt.hex() not in response.text
    for file in ready.directory.iterdir():
        content = file.read_bytes()
        assert secret not in content
        assert secret.hex().encode() not in content
