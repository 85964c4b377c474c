"""What every oracle behind the port does, asked through the client over HTTP."""

from uuid import UUID

import pytest

from coordinator.adapters.http import TransportError
from coordinator.embedded.oracle.faults import WriteFault
from coordinator.ports.faults import Unreachable
from coordinator.ports.oracle import (
    ClockSkew,
    EntriesConflict,
    EntriesRefused,
    EntryPicks,
    EventConflict,
    EventMissing,
    EventRefused,
    EventStatus,
    NotAuthorized,
    PlanProblem,
)
from coordinator_core.competition.observation import (
    CreateEvent,
    DataSource,
    Metric,
    Observation,
    ObservationWindow,
    Rule,
    ScoringRules,
)
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.oracle.attestation import attested_outcome
from coordinator_core.oracle.locking import verify_locking_points
from coordinator_core.oracle.statement import parse_statement, statement_digest
from coordinator_core.secp256k1 import SecretKey, schnorr_verify, tagged_hash

DAY = 86_400
NOW = 1_790_000_000
START = NOW - NOW % DAY + 2 * DAY
STATIONS = ("KORD", "KSAW", "KDEN")
SOURCE = DataSource(id="noaa_weather", type="weather")
WINDOW = ObservationWindow(start=START, end=START + DAY)
SIGNING = START + DAY + 3_600


def uuid7(number: int) -> UUID:
    return UUID(f"01926f3a-0000-7000-8000-{number:012x}")


def an_event(oracle, number: int = 1, **changes: object) -> CreateEvent:
    fields = {
        "id": oracle.event_id(number),
        "source": SOURCE,
        "window": WINDOW,
        "signing_date": SIGNING,
        "targets": STATIONS,
        "metrics": ("temp_high",),
        "values_per_entry": 1,
        "total_allowed_entries": 3,
        "places": 1,
        "scoring_rules": ScoringRules.FIXED,
        "unlisted": False,
        "lines_from_event": None,
        **changes,
    }
    return CreateEvent(**fields)


def an_observation(**changes: object) -> Observation:
    fields = {
        "source": SOURCE,
        "window": WINDOW,
        "signing_date": SIGNING,
        "targets": STATIONS,
        "metrics": (Metric(id="temp_high", rule=Rule.ROUNDED, tolerance=None),),
        "values_per_entry": 1,
        **changes,
    }
    return Observation(**fields)


def entries(*numbers: int) -> list[EntryPicks]:
    return [
        EntryPicks(uuid7(number), (Pick(target=STATIONS[i % 3], metric="temp_high", choice=Choice.OVER),))
        for i, number in enumerate(numbers)
    ]


async def test_the_announcement_follows_from_key_and_nonce(oracle) -> None:
    key = await oracle.client.public_key()
    event = await oracle.client.create_event(an_event(oracle))
    verify_locking_points(event.announcement.locking_points, key, event.announcement.nonce_point, 3, 1)
    assert event.announcement.expiry == SIGNING + DAY
    assert (event.statement, event.report.attestation, event.entries) == (None, None, ())
    assert not event.served_secret_nonce
    assert event.report.status is EventStatus.LIVE


async def test_creating_the_same_event_again_changes_nothing(oracle) -> None:
    first = await oracle.client.create_event(an_event(oracle))
    assert await oracle.client.create_event(an_event(oracle)) == first
    assert await oracle.client.get_event(first.id) == first


async def test_another_event_under_the_same_id_is_a_conflict(oracle) -> None:
    await oracle.client.create_event(an_event(oracle))
    with pytest.raises(EventConflict, match="signing date"):
        await oracle.client.create_event(an_event(oracle, signing_date=SIGNING + 60))


async def test_a_broken_rule_is_refused_in_the_oracles_words(oracle) -> None:
    with pytest.raises(EventRefused, match="fewer than the entries, requested 3"):
        await oracle.client.create_event(an_event(oracle, places=3))
    assert await oracle.client.get_event(oracle.event_id(1)) is None


async def test_an_unknown_event_is_absent(oracle) -> None:
    assert await oracle.client.get_event(oracle.event_id(9)) is None
    for call in (oracle.client.get_entries, oracle.client.get_attestation):
        with pytest.raises(EventMissing):
            await call(oracle.event_id(9))
    with pytest.raises(EventMissing):
        await oracle.client.submit_entries(oracle.event_id(9), entries(1, 2, 3))


async def test_entries_come_back_in_id_order_with_a_signed_statement(oracle) -> None:
    await oracle.client.create_event(an_event(oracle))
    event = await oracle.client.submit_entries(oracle.event_id(1), entries(30, 10, 20))
    assert [entry.id for entry in event.entries] == [uuid7(10), uuid7(20), uuid7(30)]
    assert [entry.picks[0].target for entry in event.entries] == ["KSAW", "KDEN", "KORD"]
    assert await oracle.client.get_entries(oracle.event_id(1)) == event.entries
    signed = parse_statement(event.statement)
    key = await oracle.client.public_key()
    assert schnorr_verify(bytes.fromhex(signed.signature), statement_digest(signed.statement), key[1:])
    assert signed.statement.outcomes.entry_ids == tuple(entry.id for entry in event.entries)
    assert signed.statement.nonce == event.announcement.nonce_point
    again = await oracle.client.get_event(oracle.event_id(1))
    assert again is not None
    assert again.statement == event.statement


async def test_entries_are_taken_once(oracle) -> None:
    await oracle.client.create_event(an_event(oracle))
    first = await oracle.client.submit_entries(oracle.event_id(1), entries(10, 20, 30))
    assert (await oracle.client.submit_entries(oracle.event_id(1), entries(10, 20, 30))).entries == first.entries
    with pytest.raises(EntriesConflict):
        await oracle.client.submit_entries(oracle.event_id(1), entries(20, 10, 30))


async def test_a_set_of_the_wrong_size_is_refused(oracle) -> None:
    await oracle.client.create_event(an_event(oracle))
    with pytest.raises(EntriesRefused, match="needs exactly 3 entries, received 2"):
        await oracle.client.submit_entries(oracle.event_id(1), entries(10, 20))


async def test_only_listed_keys_write(oracle) -> None:
    stranger = oracle.another_client(SecretKey.generate())
    with pytest.raises(NotAuthorized, match="not_allowed"):
        await stranger.create_event(an_event(oracle))


async def test_a_wrong_clock_is_named(oracle) -> None:
    late = oracle.another_client(oracle.identity, off=-120)
    with pytest.raises(ClockSkew):
        await late.create_event(an_event(oracle))


@pytest.mark.parametrize("winners", [(2,), (0, 1, 2)], ids=["a winner", "refund all"])
async def test_the_attestation_opens_the_point_of_its_outcome(oracle, winners: tuple[int, ...]) -> None:
    await oracle.client.create_event(an_event(oracle))
    event = await oracle.client.submit_entries(oracle.event_id(1), entries(10, 20, 30))
    await oracle.queue(event.id, winners)
    await oracle.set_time(SIGNING - 1)
    assert (await oracle.client.get_attestation(event.id)).attestation is None
    await oracle.set_time(SIGNING)
    report = await oracle.client.get_attestation(event.id)
    assert report.status is EventStatus.SIGNED
    assert report.attestation is not None
    index = 3 if len(winners) == 3 else winners[0]
    assert attested_outcome(report.attestation, event.announcement.locking_points) == index
    key = await oracle.client.public_key()
    message = tagged_hash("DLC/oracle/attestation/v0", b"".join(i.to_bytes(8, "big") for i in winners))
    assert schnorr_verify(event.announcement.nonce_point[1:] + report.attestation, message, key[1:])
    full = await oracle.client.get_event(event.id)
    assert full is not None
    assert full.report == report


async def test_nothing_is_attested_from_expiry_on(oracle) -> None:
    await oracle.client.create_event(an_event(oracle))
    await oracle.client.submit_entries(oracle.event_id(1), entries(10, 20, 30))
    await oracle.set_time(SIGNING + DAY)
    await oracle.queue(oracle.event_id(1), (0,))
    report = await oracle.client.get_attestation(oracle.event_id(1))
    assert (report.attestation, report.status) == (None, EventStatus.COMPLETED)


@pytest.mark.parametrize("fault", [WriteFault.STORED, WriteFault.LOST, WriteFault.REFUSED])
async def test_a_write_of_unknown_outcome_is_settled_by_reading(oracle, fault: WriteFault) -> None:
    await oracle.fail_next_write(fault)
    if fault is WriteFault.STORED:
        await oracle.client.create_event(an_event(oracle))
    else:
        with pytest.raises(TransportError):
            await oracle.client.create_event(an_event(oracle))
        assert await oracle.client.get_event(oracle.event_id(1)) is None
        await oracle.client.create_event(an_event(oracle))
    await oracle.fail_next_write(fault)
    if fault is not WriteFault.STORED:
        with pytest.raises(Unreachable):
            await oracle.client.submit_entries(oracle.event_id(1), entries(10, 20, 30))
    event = await oracle.client.submit_entries(oracle.event_id(1), entries(10, 20, 30))
    assert len(event.entries) == 3


async def test_lines_are_frozen_in_the_first_event_and_copied(oracle) -> None:
    rules = {"scoring_rules": ScoringRules.LINES, "metrics": ("temp_high", "wind_speed")}
    frozen = await oracle.client.create_event(an_event(oracle, 1, unlisted=True, **rules))
    assert [(line.target, line.metric) for line in frozen.lines] == [
        (target, metric) for target in sorted(STATIONS) for metric in ("temp_high", "wind_speed")
    ]
    await oracle.set_time(NOW + DAY)
    copied = await oracle.client.create_event(an_event(oracle, 2, lines_from_event=oracle.event_id(1), **rules))
    assert copied.lines == frozen.lines
    with pytest.raises(EventRefused, match="has no line fitted on this event's window length for KMIA/temp_high"):
        await oracle.client.create_event(
            an_event(oracle, 3, lines_from_event=oracle.event_id(1), targets=("KMIA",), **rules)
        )


async def test_a_sound_plan_passes(oracle) -> None:
    for rules in ScoringRules:
        report = await oracle.client.check_plan(an_observation(), rules)
        assert report.passes
        assert report.evaluated_at == NOW


@pytest.mark.parametrize(
    ("changes", "rules", "problem", "subject"),
    [
        ({"targets": ("KORD", "KXYZ")}, ScoringRules.FIXED, PlanProblem.UNKNOWN_TARGET, "KXYZ"),
        (
            {"source": DataSource(id="tides", type="tides")},
            ScoringRules.FIXED,
            PlanProblem.UNKNOWN_SOURCE,
            "tides",
        ),
        (
            {"metrics": (Metric(id="visibility", rule=Rule.EXACT, tolerance=None),)},
            ScoringRules.FIXED,
            PlanProblem.UNKNOWN_METRIC,
            "visibility",
        ),
        (
            {"metrics": (Metric(id="temp_high", rule=Rule.EXACT, tolerance=None),)},
            ScoringRules.FIXED,
            PlanProblem.OTHER_RULE,
            "temp_high",
        ),
        (
            {"metrics": (Metric(id="rain_amt", rule=Rule.WITHIN, tolerance="0.1"),)},
            ScoringRules.LINES,
            PlanProblem.NO_LINE,
            "rain_amt",
        ),
        (
            {"window": ObservationWindow(start=START, end=START + 3_600)},
            ScoringRules.FIXED,
            PlanProblem.WINDOW,
            "window",
        ),
        (
            {"window": ObservationWindow(start=NOW - DAY, end=NOW + DAY)},
            ScoringRules.FIXED,
            PlanProblem.WINDOW,
            "window",
        ),
        (
            {
                "window": ObservationWindow(start=START + 20 * DAY, end=START + 21 * DAY),
                "signing_date": START + 22 * DAY,
            },
            ScoringRules.FIXED,
            PlanProblem.NO_FORECAST,
            "KORD/temp_high",
        ),
    ],
)
async def test_an_unsound_plan_is_explained(oracle, changes, rules, problem, subject) -> None:
    report = await oracle.client.check_plan(an_observation(**changes), rules)
    assert not report.passes
    assert (problem, subject) in [(finding.problem, finding.subject) for finding in report.findings]


async def test_stations_and_sources_are_listed(oracle) -> None:
    stations = await oracle.client.stations()
    assert {"KORD", "KSAW", "KDEN"} <= {station.id for station in stations}
    (source,) = await oracle.client.sources()
    assert source.id == "noaa_weather"
    assert Metric(id="wind_direction", rule=Rule.COMPASS, tolerance="22.0") in [row.metric for row in source.metrics]
