"""What the mock promises to tests beyond the port."""

import time
from uuid import UUID

import pytest

from coordinator.adapters.oracle import NoaaOracle, NoaaSettings
from coordinator.ports.oracle import EntryPicks, EventStatus
from coordinator_core.competition.observation import CreateEvent, DataSource, ObservationWindow, ScoringRules
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.secp256k1 import SecretKey, generator_mul
from tests.e2e.mock_oracle import MockOracle, Outcome

START = 1_790_035_200
SIGNING = START + 90_000
EVENT_ID = UUID("01926f3a-0000-7000-8000-000000000001")
EVENT = CreateEvent(
    id=EVENT_ID,
    source=DataSource(id="noaa_weather", type="weather"),
    window=ObservationWindow(start=START, end=START + 86_400),
    signing_date=SIGNING,
    targets=("KORD",),
    metrics=("temp_high",),
    values_per_entry=1,
    total_allowed_entries=3,
    places=2,
    scoring_rules=ScoringRules.FIXED,
    unlisted=False,
    lines_from_event=None,
)
ENTRIES = [
    EntryPicks(
        UUID(f"01926f3a-0000-7000-8000-{number:012x}"),
        (Pick(target="KORD", metric="temp_high", choice=Choice.OVER),),
    )
    for number in (12, 11, 13)
]


class Clock:
    def now(self) -> int:
        return int(time.time())


@pytest.fixture
def play():
    async def run(mock: MockOracle) -> NoaaOracle:
        identity = SecretKey.generate()
        mock.allow(identity.x_only)
        mock.clock.set(START - 3_600)
        client = NoaaOracle(NoaaSettings(url=mock.url, is_mainnet=False), identity, Clock())
        await client.create_event(EVENT)
        await client.submit_entries(EVENT_ID, ENTRIES)
        return client

    return run


async def test_a_queued_ranking_is_attested_and_nothing_else(play) -> None:
    async with MockOracle("a") as mock:
        client = await play(mock)
        mock.clock.set(SIGNING)
        report = await client.get_attestation(EVENT_ID)
        assert (report.attestation, report.status) == (None, EventStatus.COMPLETED)
        for wrong in (Outcome((0,)), Outcome((0, 3)), Outcome((0, 0)), Outcome.refund_all(4)):
            with pytest.raises(ValueError, match="not an outcome"):
                mock.queue_attestation(EVENT_ID, wrong)
        mock.queue_attestation(EVENT_ID, Outcome((2, 0)))
        attestation = (await client.get_attestation(EVENT_ID)).attestation
        assert attestation is not None
        # Rankings of two out of three in order: 01 02 10 12 20 21, then refund-all.
        assert generator_mul(attestation) == mock.get_locking_conditions(EVENT_ID).locking_points[4]
        mock.queue_attestation(EVENT_ID, Outcome.refund_all(3))
        assert (await client.get_attestation(EVENT_ID)).attestation == attestation
        await client.close()


async def test_everything_follows_from_the_seed(play) -> None:
    seen = []
    for seed in ("a", "a", "b"):
        async with MockOracle(seed) as mock:
            client = await play(mock)
            conditions = mock.get_locking_conditions(EVENT_ID)
            seen.append((mock.public_key, conditions))
            assert conditions.expiry == SIGNING + 86_400
            assert [entry.id.int & 0xFF for entry in mock.get_entries(EVENT_ID)] == [11, 12, 13]
            with pytest.raises(KeyError):
                mock.get_entries(UUID(int=7))
            await client.close()
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0]
    assert not set(seen[0][1].locking_points) & set(seen[2][1].locking_points)
