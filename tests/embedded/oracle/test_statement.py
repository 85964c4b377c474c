"""The signed statement against the vector of its specification."""

from uuid import UUID

from coordinator.embedded.oracle.key import OracleKey
from coordinator.embedded.oracle.statement import (
    ObservationTerms,
    RankingOutcomes,
    StatedLine,
    Statement,
    canonical_bytes,
    digest,
)
from coordinator_core.secp256k1 import SecretKey, generator_mul, schnorr_verify

START = 1_790_000_000
VECTOR = Statement(
    event_id=UUID("01926f3a-0000-7000-8000-0000000000aa"),
    signing_date=START + 172_800,
    expiry=START + 259_200,
    nonce_point=generator_mul((2).to_bytes(32, "big")).hex(),
    outcomes=RankingOutcomes(1, tuple(UUID(f"01926f3a-0000-7000-8000-00000000000{i}") for i in (1, 2, 3))),
    terms=ObservationTerms(
        source="noaa_weather",
        start_observation_date=START,
        end_observation_date=START + 86_400,
        targets=("KORD", "KSAW"),
        scoring_fields=("temp_high", "temp_low", "wind_speed"),
        number_of_values_per_entry=3,
        scoring_rules="lines",
        lines=(
            StatedLine("KORD", "temp_high", -2.5, -0.5, 24),
            StatedLine("KSAW", "wind_speed", 1.5, 4.5, 24),
        ),
    ),
)


def test_the_bytes_that_are_signed() -> None:
    assert len(canonical_bytes(VECTOR)) == 304
    assert digest(VECTOR).hex() == "2b37e13098210b2216a8b101d8a6e16420101c9acb954c1a53d43c0e990303f4"


def test_the_signature_is_deterministic_and_verifies() -> None:
    key = OracleKey(SecretKey.from_bytes(bytes(31) + b"\x07"))
    signature = key.sign_statement(digest(VECTOR))
    assert signature == key.sign_statement(digest(VECTOR))
    assert schnorr_verify(signature, digest(VECTOR), key.x_only)


async def test_a_served_statement_is_that_of_the_event(bench, event, entries) -> None:
    await bench.create(event)
    await bench.post(f"/oracle/events/{event['id']}/entries", entries)
    served = await bench.get(f"/oracle/events/{event['id']}")
    signed = served["statement"]
    assert set(signed) == {"statement", "signature"}
    statement = signed["statement"]
    assert (statement["outcomes"]["kind"], statement["terms"]["kind"]) == ("ranking", "observation")
    assert statement["expiry"] == served["event_announcement"]["expiry"]
    assert statement["terms"]["targets"] == event["locations"]
    assert statement["terms"]["scoring_rules"] == "fixed"
    assert statement["terms"]["lines"] == []
    await bench.reopen()
    assert (await bench.get(f"/oracle/events/{event['id']}"))["statement"] == signed
