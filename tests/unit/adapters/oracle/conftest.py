"""A client of an oracle whose answers are written by hand."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from coordinator.adapters.oracle import NoaaOracle, NoaaSettings
from coordinator_core.secp256k1 import SecretKey, generator_mul
from coordinator_core.units import UnixTime

Answer = httpx.Response | Exception | tuple[int, Any]


class StandingClock:
    """A wall clock that stands still."""

    def now(self) -> UnixTime:
        return UnixTime(1_790_000_000)


class Script:
    """Answers by method and path, in order; the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[httpx.Request] = []

    def on(self, call: str, *answers: Answer) -> None:
        self.answers[call] = list(answers)

    def sent(self, method: str) -> list[httpx.Request]:
        return [request for request in self.requests if request.method == method]

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        queue = self.answers[f"{request.method} {request.url.path}"]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, tuple):
            return httpx.Response(answer[0], content=json.dumps(answer[1]).encode())
        return answer


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def identity() -> SecretKey:
    """The key that requests are signed with."""
    return SecretKey.generate()


@pytest.fixture
async def make(script: Script, identity: SecretKey) -> AsyncIterator[Callable[..., NoaaOracle]]:
    made: list[NoaaOracle] = []

    def build(**changes: Any) -> NoaaOracle:
        settings = NoaaSettings(**{"url": "http://oracle.test", "is_mainnet": False, **changes})
        made.append(NoaaOracle(settings, identity, StandingClock(), transport=httpx.MockTransport(script.handle)))
        return made[-1]

    yield build
    for client in made:
        await client.close()


@pytest.fixture
def event() -> dict[str, Any]:
    """GET /oracle/events/{id} as its documentation gives it: three entries, one place, nothing submitted."""
    return {
        "id": "01926f3a-0000-7000-8000-000000000001",
        "signing_date": "2026-09-23T01:00:00Z",
        "start_observation_date": "2026-09-22T00:00:00Z",
        "end_observation_date": "2026-09-23T00:00:00Z",
        "locations": ["KORD", "KSAW"],
        "number_of_values_per_entry": 2,
        "status": "Live",
        "total_allowed_entries": 3,
        "entry_ids": [],
        "number_of_places_win": 1,
        "entries": [],
        "source": "noaa_weather",
        "readings": [{"target": "KORD", "metric": "temp_high", "baseline": 71.0, "observed": None}],
        "weather": [],
        "nonce_point": point(2),
        "event_announcement": {"locking_points": [point(i) for i in (3, 4, 5, 6)], "expiry": 1_790_211_600},
        "attestation": None,
        "coordinator_pubkey": "npub1anything",
        "scoring_fields": ["temp_high", "wind_speed"],
        "unlisted": False,
        "scoring_rules": "fixed",
    }


def point(number: int) -> str:
    return generator_mul(number.to_bytes(32, "big")).hex()
