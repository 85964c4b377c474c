"""The client against answers written from the oracle's documentation."""

import json
from uuid import UUID

import httpx
import pytest

from coordinator.adapters.http import TransportError
from coordinator.ports.faults import Rejected, Unsuitable
from coordinator.ports.oracle import (
    ClockSkew,
    EntriesConflict,
    EntriesRefused,
    EntryPicks,
    EventConflict,
    EventRefused,
    EventStatus,
    NotAuthorized,
    SecretNonceServed,
)
from coordinator_core.competition.observation import CreateEvent, DataSource, ObservationWindow, ScoringRules
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.nostr.nip98 import verify_authorization
from coordinator_core.secp256k1 import G, generator_mul
from coordinator_core.units import UnixTime

EVENT_ID = UUID("01926f3a-0000-7000-8000-000000000001")
EVENT = f"/oracle/events/{EVENT_ID}"
START = 1_790_035_200
UNKNOWN = (500, {"error": "write outcome unknown; check the event before retrying"})
MISSING = (404, {"error": "event not found"})
ASKED = CreateEvent(
    id=EVENT_ID,
    source=DataSource(id="noaa_weather", type="weather"),
    window=ObservationWindow(start=START, end=START + 86_400),
    signing_date=START + 90_000,
    targets=("KORD", "KSAW"),
    metrics=("temp_high", "wind_speed"),
    values_per_entry=2,
    total_allowed_entries=3,
    places=1,
    scoring_rules=ScoringRules.FIXED,
    unlisted=False,
    lines_from_event=None,
)


def an_id(number: int) -> UUID:
    return UUID(f"01926f3a-0000-7000-8000-{number:012x}")


def an_entry(number: int, choice: Choice = Choice.OVER) -> EntryPicks:
    return EntryPicks(an_id(number), (Pick(target="KORD", metric="temp_high", choice=choice),))


def served_entry(number: int, prediction: str = "Over") -> dict[str, object]:
    picks = [{"target": "KORD", "metric": "temp_high", "prediction": prediction}]
    return {"id": str(an_id(number)), "event_id": str(EVENT_ID), "picks": picks, "score": None, "base_score": None}


ENTRIES = [an_entry(30), an_entry(10), an_entry(20)]


def with_entries(event, *numbers: int, prediction: str = "Over"):
    return {**event, "entries": [served_entry(number, prediction) for number in numbers]}


async def test_an_event_as_it_is_served(make, script, event) -> None:
    statement = b'{"statement": {"lower":-2.50},  "signature":"00"}'
    body = json.dumps(event)[:-1].encode() + b', "statement": ' + statement + b"}"
    script.on(f"GET {EVENT}", httpx.Response(200, content=body))
    found = await make().get_event(EVENT_ID)
    assert found is not None
    assert found.statement == statement
    assert found.window == ASKED.window
    assert found.signing_date == ASKED.signing_date
    assert found.announcement.nonce_point == generator_mul(bytes(31) + b"\x02")
    assert len(found.announcement.locking_points) == 4
    assert found.announcement.expiry == 1_790_211_600
    assert (found.report.status, found.report.attestation, found.served_secret_nonce) == (EventStatus.LIVE, None, False)
    assert found.readings[0].baseline == 71.0


async def test_creating_sends_the_documented_body_signed_for_the_public_address(make, script, identity, event) -> None:
    script.on(f"GET {EVENT}", MISSING)
    script.on("POST /oracle/events", (200, event))
    created = await make(public_origin="https://oracle.example/").create_event(ASKED)
    assert created.id == EVENT_ID
    (request,) = script.sent("POST")
    assert json.loads(request.content) == {
        "id": str(EVENT_ID),
        "signing_date": "2026-09-23T01:00:00Z",
        "start_observation_date": "2026-09-22T00:00:00Z",
        "end_observation_date": "2026-09-23T00:00:00Z",
        "source": "noaa_weather",
        "locations": ["KORD", "KSAW"],
        "scoring_fields": ["temp_high", "wind_speed"],
        "number_of_values_per_entry": 2,
        "total_allowed_entries": 3,
        "number_of_places_win": 1,
        "unlisted": False,
        "scoring_rules": "fixed",
    }
    address = "https://oracle.example/oracle/events"
    header = request.headers["authorization"]
    signed = verify_authorization(header, "POST", address, request.content, UnixTime(1_790_000_000))
    assert signed.author == identity.x_only


async def test_two_writes_in_a_second_are_two_signatures(make, script) -> None:
    script.on(f"GET {EVENT}", MISSING)
    script.on("POST /oracle/events", (503, {"error": "later"}))
    client = make()
    for _ in range(2):
        with pytest.raises(TransportError):
            await client.create_event(ASKED)
    first, second = (request.headers["authorization"] for request in script.sent("POST"))
    assert first != second


async def test_an_event_that_exists_is_not_created_again(make, script, event) -> None:
    script.on(f"GET {EVENT}", (200, event))
    assert (await make().create_event(ASKED)).id == EVENT_ID
    assert script.sent("POST") == []


@pytest.mark.parametrize(
    ("member", "value", "name"),
    [
        ("source", "tides", "source"),
        ("start_observation_date", "2026-09-21T23:59:59Z", "window"),
        ("end_observation_date", "2026-09-23T00:00:01Z", "window"),
        ("signing_date", "2026-09-23T02:00:00Z", "signing date"),
        ("locations", ["KSAW", "KORD"], "targets"),
        ("scoring_fields", ["temp_high"], "metrics"),
        ("number_of_values_per_entry", 1, "values per entry"),
        ("total_allowed_entries", 4, "entries"),
        ("number_of_places_win", 2, "places"),
        ("scoring_rules", "lines", "scoring rules"),
        ("unlisted", True, "unlisted"),
        ("event_announcement", {"locking_points": [G.hex()] * 5, "expiry": 1}, "number of outcomes"),
        ("lines", [{"target": "KORD", "metric": "temp_high", "lower": 1, "upper": 2, "window_hours": 24}], "lines"),
    ],
)
async def test_every_difference_to_what_was_asked_is_a_conflict(make, script, event, member, value, name) -> None:
    script.on(f"GET {EVENT}", (200, {**event, member: value}))
    with pytest.raises(EventConflict, match=name):
        await make().create_event(ASKED)


@pytest.mark.parametrize(
    "lost", [UNKNOWN, (502, {}), (504, {}), httpx.ReadTimeout("x"), httpx.RemoteProtocolError("x")]
)
async def test_a_lost_answer_is_settled_by_reading(make, script, event, lost) -> None:
    script.on(f"GET {EVENT}", MISSING, (200, event))
    script.on("POST /oracle/events", lost)
    assert (await make().create_event(ASKED)).id == EVENT_ID
    assert len(script.sent("POST")) == 1


async def test_a_lost_answer_with_nothing_stored_is_the_lost_answer(make, script) -> None:
    script.on(f"GET {EVENT}", MISSING)
    script.on("POST /oracle/events", UNKNOWN)
    with pytest.raises(TransportError, match="write outcome unknown") as raised:
        await make().create_event(ASKED)
    assert (raised.value.sent, raised.value.fault) == (True, Fault.ORACLE)
    assert len(script.sent("POST")) == 1


async def test_a_request_that_never_left_is_not_looked_for(make, script) -> None:
    script.on(f"GET {EVENT}", MISSING)
    script.on("POST /oracle/events", httpx.ConnectError("x"))
    with pytest.raises(TransportError) as raised:
        await make().create_event(ASKED)
    assert raised.value.sent is False
    assert len(script.sent("GET")) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((400, {"error": "an event needs between 1 and 50 distinct locations"}), EventRefused, "distinct locations"),
        ((400, {"error": {"type": "payload_mismatch", "detail": "differs"}}), NotAuthorized, "payload_mismatch"),
        ((401, {"error": {"type": "mismatch", "detail": "signed URL"}}), NotAuthorized, "mismatch"),
        ((401, {"error": {"type": "expired", "detail": "too old"}}), ClockSkew, "too old"),
        ((401, {"error": {"type": "replayed", "detail": "used"}}), TransportError, "used"),
        ((403, {"error": {"type": "not_allowed", "detail": "not on the list"}}), NotAuthorized, "not_allowed"),
        ((503, {"error": {"type": "busy", "detail": "retry shortly"}}), TransportError, "retry shortly"),
        ((503, {"error": "oracle is not accepting writes right now"}), TransportError, "not accepting"),
        ((429, "slow down"), TransportError, "429"),
        ((302, {}), Unsuitable, "302"),
    ],
)
async def test_each_refusal_is_its_own_error(make, script, answer, kind, words) -> None:
    script.on(f"GET {EVENT}", MISSING)
    script.on("POST /oracle/events", answer)
    with pytest.raises(kind, match=words) as raised:
        await make().create_event(ASKED)
    assert isinstance(raised.value.fault, Fault)
    if isinstance(raised.value, TransportError):
        assert raised.value.sent is False


async def test_entries_are_sent_once_and_read_back(make, script, event) -> None:
    script.on(f"GET {EVENT}", (200, event), (200, with_entries(event, 10, 20, 30)))
    script.on(f"POST {EVENT}/entries", (200, []))
    found = await make().submit_entries(EVENT_ID, ENTRIES)
    assert [entry.id for entry in found.entries] == [an_id(10), an_id(20), an_id(30)]
    (request,) = script.sent("POST")
    body = json.loads(request.content)
    assert body["event_id"] == str(EVENT_ID)
    assert body["entries"][0] == {
        "id": str(an_id(30)),
        "event_id": str(EVENT_ID),
        "picks": [{"target": "KORD", "metric": "temp_high", "prediction": "Over"}],
    }


@pytest.mark.parametrize("lost", [UNKNOWN, (409, {"error": "entries were already submitted for this event"})])
async def test_entries_of_a_lost_answer_are_found(make, script, event, lost) -> None:
    script.on(f"GET {EVENT}", (200, event), (200, with_entries(event, 30, 20, 10)))
    script.on(f"POST {EVENT}/entries", lost)
    assert len((await make().submit_entries(EVENT_ID, ENTRIES)).entries) == 3


@pytest.mark.parametrize(
    "held", [((10, 20), "Over"), ((10, 20, 31), "Over"), ((10, 20, 30), "Par"), ((10, 20, 30, 40), "Over")]
)
async def test_other_entries_are_a_conflict(make, script, event, held) -> None:
    numbers, prediction = held
    script.on(f"GET {EVENT}", (200, with_entries(event, *numbers, prediction=prediction)))
    with pytest.raises(EntriesConflict):
        await make().submit_entries(EVENT_ID, ENTRIES)
    assert script.sent("POST") == []


async def test_the_order_of_picks_does_not_matter(make, script, event) -> None:
    wind = {"target": "KORD", "metric": "wind_speed", "prediction": "Par"}
    held = with_entries(event, 10, 20, 30)
    held["entries"] = [{**row, "picks": [*row["picks"], wind]} for row in held["entries"]]
    script.on(f"GET {EVENT}", (200, held))
    pick = Pick(target="KORD", metric="wind_speed", choice=Choice.PAR)
    entries = [EntryPicks(entry.id, (pick, *entry.picks)) for entry in ENTRIES]
    assert len((await make().submit_entries(EVENT_ID, entries)).entries) == 3


async def test_refused_entries_and_a_foreign_event(make, script, event) -> None:
    script.on(f"GET {EVENT}", (200, event))
    script.on(
        f"POST {EVENT}/entries",
        (400, {"error": "entries are only accepted before the observation window ends"}),
        (403, {"error": f"event {EVENT_ID} belongs to another coordinator"}),
    )
    client = make()
    with pytest.raises(EntriesRefused, match="before the observation window ends"):
        await client.submit_entries(EVENT_ID, ENTRIES)
    with pytest.raises(EventConflict, match="another coordinator"):
        await client.submit_entries(EVENT_ID, ENTRIES)


async def test_the_result_is_polled_without_the_announcement(make, script, event) -> None:
    summary = {name: value for name, value in event.items() if name not in ("entries", "event_announcement")}
    block = {"code": "incomplete_readings", "message": "settlement blocked", "checked_at": "2026-09-23T01:15:00Z"}
    script.on(
        "GET /oracle/events",
        (200, [{**summary, "status": "Completed", "settlement_block": block}]),
        (200, [{**summary, "status": "Signed", "attestation": "11" * 32}]),
    )
    client = make()
    report = await client.get_attestation(EVENT_ID)
    assert report.block is not None
    assert (report.block.code, report.block.is_final, report.attestation) == ("incomplete_readings", False, None)
    report = await client.get_attestation(EVENT_ID)
    assert (report.attestation, report.status, report.block) == (b"\x11" * 32, EventStatus.SIGNED, None)
    assert script.requests[0].url.params["event_ids"] == str(EVENT_ID)


async def test_an_oracle_that_does_not_filter_is_asked_for_the_event(make, script, event) -> None:
    script.on("GET /oracle/events", (400, {"error": "invalid"}))
    script.on(f"GET {EVENT}", (200, {**event, "settled_without_entries_at": "2026-09-23T01:00:00Z"}))
    assert (await make().get_attestation(EVENT_ID)).settled_without_entries


async def test_a_secret_nonce_becomes_a_point_and_a_warning_or_a_refusal(make, script, event) -> None:
    event.pop("nonce_point")
    event["nonce"] = "00" * 31 + "07"
    for name in ("source", "readings", "unlisted", "scoring_rules"):
        event.pop(name)
    script.on(f"GET {EVENT}", (200, event))
    found = await make().get_event(EVENT_ID)
    assert found is not None
    assert found.served_secret_nonce
    assert found.announcement.nonce_point == generator_mul(bytes(31) + b"\x07")
    assert event["nonce"] not in repr(found)
    with pytest.raises(SecretNonceServed):
        await make(is_mainnet=True).get_event(EVENT_ID)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": str(an_id(2))}, "was served for"),
        ({"nonce_point": None}, "without a nonce point"),
        ({"nonce_point": "02" + "ff" * 32}, "no point"),
        ({"nonce": "00" * 32}, "no scalar"),
        ({"event_announcement": {"locking_points": ["02" + "ff" * 32] * 4, "expiry": 1}}, "no point"),
        ({"event_announcement": {"locking_points": [G.hex()] * 2, "expiry": 1}}, "2 locking points"),
        ({"signing_date": "1970-01-01T00:00:00Z"}, "date out of range"),
        ({"signing_date": "9999-01-01T00:00:00Z"}, "date out of range"),
        ({"entries": [served_entry(1), served_entry(1)]}, "twice"),
        ({"entries": [{**served_entry(1), "event_id": str(an_id(2))}]}, "belongs to event"),
    ],
)
async def test_an_event_that_contradicts_itself_is_the_oracles_fault(make, script, event, changes, words) -> None:
    script.on(f"GET {EVENT}", (200, {**event, **changes}))
    with pytest.raises(VerificationFailed, match=words) as raised:
        await make().get_event(EVENT_ID)
    assert raised.value.fault is Fault.ORACLE


@pytest.mark.parametrize(
    "changes",
    [
        {"attestation": "11"},
        {"attestation": 5},
        {"status": "Done"},
        {"event_announcement": {"locking_points": ["00" * 33], "expiry": 1}},
        {"event_announcement": {"locking_points": [], "expiry": -1}},
        {"number_of_places_win": "1"},
        {"signing_date": "2026-09-23"},
        {"entries": [{"id": "x"}]},
        {"lines": [{"target": "KORD", "metric": "temp_high", "lower": "NaN", "upper": 2, "window_hours": 24}]},
    ],
)
async def test_an_event_of_another_shape_is_no_answer(make, script, event, changes) -> None:
    script.on(f"GET {EVENT}", (200, {**event, **changes}))
    with pytest.raises(TransportError, match="unexpected body"):
        await make().get_event(EVENT_ID)


async def test_lines_keep_their_exact_decimals(make, script, event) -> None:
    rows = [
        {"target": "KSAW", "metric": "temp_high", "lower": -1.3000000000000007, "upper": 1, "window_hours": 24},
        {"target": "KORD", "metric": "temp_high", "lower": 1e-7, "upper": 2.5, "window_hours": 24},
    ]
    script.on(f"GET {EVENT}", (200, {**event, "lines": rows}))
    found = await make().get_event(EVENT_ID)
    assert found is not None
    assert [(line.target, line.lower, line.upper) for line in found.lines] == [
        ("KORD", "0.0000001", "2.5"),
        ("KSAW", "-1.3000000000000007", "1.0"),
    ]


@pytest.mark.parametrize("key", ["AAAA", "", 5])
async def test_a_key_that_is_none_is_refused(make, script, key) -> None:
    script.on("GET /oracle/pubkey", (200, {"key": key}))
    with pytest.raises((VerificationFailed, TransportError)):
        await make().public_key()


async def test_reads_are_repeated_when_the_oracle_is_busy(make, script, event) -> None:
    script.on(f"GET {EVENT}", httpx.Response(503, headers={"Retry-After": "0"}), (200, event))
    assert await make().get_event(EVENT_ID) is not None
    assert len(script.requests) == 2


async def test_a_read_that_is_refused_says_so(make, script) -> None:
    script.on("GET /oracle/sources", (400, {"error": "no"}))
    with pytest.raises(Rejected, match="no"):
        await make().sources()
