"""What holds for every input: fitted lines, npubs, scores, and hostile requests that only ever get an answer."""

import base64
import json
from contextlib import suppress
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.embedded.oracle.authorization import Authorizer, Request, Role
from coordinator.embedded.oracle.entry_rules import check_entries
from coordinator.embedded.oracle.errors import AuthError, Rejected
from coordinator.embedded.oracle.event_rules import check_event
from coordinator.embedded.oracle.key import Nonce, OracleKey
from coordinator.embedded.oracle.lines import fit
from coordinator.embedded.oracle.npub import encode_npub, parse_public_key
from coordinator.embedded.oracle.outcomes import outcome_count, ranking_outcomes
from coordinator.embedded.oracle.records import Event
from coordinator.embedded.oracle.requests import AddEventEntries, CreateEvent, decode
from coordinator.embedded.oracle.scoring import Scored, winning_indices
from coordinator_core.secp256k1 import SecretKey, generator_mul

MISSES = st.lists(st.integers(-40, 40).map(lambda tenths: tenths / 10), max_size=80)
SCALARS = st.integers(1, 2**255).map(lambda value: value.to_bytes(32, "big"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
EVENT: dict[str, Any] = {
    "id": "01926f3a-0000-7000-8000-000000000001",
    "signing_date": "2026-09-23T01:00:00Z",
    "start_observation_date": "2026-09-22T00:00:00Z",
    "end_observation_date": "2026-09-23T00:00:00Z",
    "locations": ["KORD"],
    "number_of_values_per_entry": 1,
    "total_allowed_entries": 3,
    "number_of_places_win": 1,
}
ENTRY: dict[str, Any] = {
    "id": "01926f3a-0000-7000-8000-000000000002",
    "event_id": EVENT["id"],
    "picks": [{"target": "KORD", "metric": "temp_high", "prediction": "Over"}],
}


@given(MISSES)
def test_a_fitted_line_separates_past_misses_and_ignores_their_order(misses: list[float]) -> None:
    band = fit(misses)
    assert fit(sorted(misses, reverse=True)) == band
    if band is None:
        assert len(set(misses)) < 3
        return
    assert band.lower < band.upper
    assert band.lower not in misses
    assert band.upper not in misses
    assert {band.outcome(miss) for miss in misses} == {"Under", "Par", "Over"}


@given(MISSES.filter(lambda misses: len(set(misses)) >= 3))
def test_no_other_pair_of_cuts_near_the_thirds_is_fairer(misses: list[float]) -> None:
    band = fit(misses)
    assert band is not None
    distinct = sorted(set(misses))
    cuts = [(low + high) / 2 for low, high in pairwise(distinct)]

    def worst(lower: float, upper: float) -> float:
        below, above = sum(m < lower for m in misses), sum(m > upper for m in misses)
        return max(abs(share / len(misses) - 1 / 3) for share in (below, above, len(misses) - below - above))

    fairest = min(worst(a, b) for a in cuts for b in cuts if a < b)
    assert worst(band.lower, band.upper) <= fairest + 1e-12


@given(st.binary(min_size=32, max_size=32))
def test_npub_round_trip_and_one_wrong_letter(key: bytes) -> None:
    text = encode_npub(key)
    assert parse_public_key(text) == parse_public_key(key.hex()) == key
    wrong = text[:10] + ("q" if text[10] != "q" else "p") + text[11:]
    assert parse_public_key(wrong) is None


@given(st.text(max_size=80))
def test_what_is_no_key_is_none(text: str) -> None:
    key = parse_public_key(text)
    assert key is None or len(key) == 32


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**128 - 1)), min_size=3, max_size=8, unique_by=lambda e: e[1])
)
def test_winners_are_an_outcome_and_nobody_outside_beats_them(rows: list[tuple[int, int]]) -> None:
    scored = [Scored(UUID(int=number), 10 * base) for base, number in rows]
    winners = winning_indices(scored, 2)
    assert winners in ranking_outcomes(len(scored), 2)
    by_id = sorted(scored, key=lambda entry: entry.id.int)
    if len(winners) == 2:
        least = by_id[winners[1]]
        others = [entry for index, entry in enumerate(by_id) if index not in winners]
        assert all((-other.base_score, other.id.int) > (-least.base_score, least.id.int) for other in others)
    else:
        assert all(entry.base_score == 0 for entry in scored)


@settings(max_examples=20)
@given(SCALARS, st.binary(min_size=16, max_size=16), st.binary(min_size=32, max_size=32), st.integers(0, 6))
def test_every_attestation_opens_its_point(secret: bytes, event_id: bytes, salt: bytes, index: int) -> None:
    key = OracleKey(SecretKey.from_bytes(secret))
    nonce = key.new_nonce(event_id, salt)
    points = key.locking_points(nonce.point, 3, 2)
    assert len(set(points)) == outcome_count(3, 2) == 7
    scalar = key.attest(event_id, nonce, points[index], ranking_outcomes(3, 2)[index])
    assert generator_mul(scalar) == points[index]


@given(st.dictionaries(st.sampled_from([*EVENT, "scoring_fields", "source", "targets", "lines_from_event"]), JSON))
def test_a_hostile_event_is_checked_or_refused(changes: dict[str, Any]) -> None:
    body = json.dumps({**EVENT, **changes}).encode()
    with suppress(Rejected):
        check_event(decode(body, CreateEvent))


@given(st.binary(max_size=200))
def test_hostile_bytes_are_refused(body: bytes) -> None:
    for kind in (CreateEvent, AddEventEntries):
        with pytest.raises(Rejected):
            decode(body, kind)


@given(st.lists(st.dictionaries(st.sampled_from([*ENTRY, "expected_observations"]), JSON), max_size=3))
def test_hostile_entries_are_refused(changes: list[dict[str, Any]]) -> None:
    body = json.dumps({"event_id": EVENT["id"], "entries": [{**ENTRY, **each} for each in changes]}).encode()
    checked = check_event(decode(json.dumps(EVENT).encode(), CreateEvent))
    with suppress(Rejected):
        check_entries(_event(checked), 0, decode(body, AddEventEntries).entries, 0)


@given(st.dictionaries(st.sampled_from(["id", "pubkey", "created_at", "kind", "tags", "content", "sig"]), JSON))
async def test_a_hostile_header_is_an_authentication_error(changes: dict[str, Any]) -> None:
    event = {
        "id": "00" * 32,
        "pubkey": "11" * 32,
        "created_at": 5,
        "kind": 27235,
        "tags": [["u", "http://a/"], ["method", "GET"]],
        "content": "",
        "sig": "22" * 64,
    }
    header = "Nostr " + base64.b64encode(json.dumps({**event, **changes}).encode()).decode()

    async def body() -> bytes:
        return b""

    authorizer = Authorizer("http://a", {role: set() for role in Role}, clock=lambda: 5.0)
    with pytest.raises(AuthError):
        await authorizer.authorize(Request("GET", "/", header, body))


def _event(checked: Any) -> Any:
    return Event(
        id=UUID(EVENT["id"]),
        signing_date=checked.signing_date,
        start=checked.window.start,
        end=checked.window.end,
        locations=checked.locations,
        metrics=checked.metrics,
        values_per_entry=1,
        allowed_entries=3,
        places=1,
        coordinator=bytes(32),
        unlisted=False,
        scoring_rules="fixed",
        lines=(),
        nonce=Nonce(bytes(33), bytes(32)),
    )
