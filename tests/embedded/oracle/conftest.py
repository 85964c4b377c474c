"""The oracle in the test's process, and requests written and signed by hand."""

import base64
import json
import time
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from coordinator.embedded.oracle.application import build_application
from coordinator.embedded.oracle.authorization import Authorizer, Role
from coordinator.embedded.oracle.climate import Climate
from coordinator.embedded.oracle.clock import Clock
from coordinator.embedded.oracle.faults import Faults
from coordinator.embedded.oracle.key import OracleKey
from coordinator.embedded.oracle.routes import Served
from coordinator.embedded.oracle.service import Oracle
from coordinator.embedded.oracle.store import Store
from coordinator.embedded.oracle.weather import Weather
from coordinator_core.secp256k1 import SecretKey, schnorr_sign, sha256

DAY = 86_400
ORIGIN = "http://oracle.test"


class Signer:
    """A Nostr key that signs requests; every part of the event can be bent."""

    def __init__(self, number: int) -> None:
        self.secret = SecretKey.from_bytes(number.to_bytes(32, "big"))
        self.x_only = self.secret.x_only
        self._count = 0

    def event(self, method: str, path: str, body: bytes, **changes: Any) -> dict[str, Any]:
        self._count += 1
        tags = [["u", ORIGIN + path], ["method", method], ["payload", sha256(body).hex()], ["n", str(self._count)]]
        event = {
            "pubkey": self.x_only.hex(),
            "created_at": int(time.time()),
            "kind": 27235,
            "tags": tags,
            "content": "",
            **changes,
        }
        fields = [0, *(event[name] for name in ("pubkey", "created_at", "kind", "tags", "content"))]
        event_id = sha256(json.dumps(fields, separators=(",", ":"), ensure_ascii=False).encode())
        return {"id": event_id.hex(), "sig": schnorr_sign(event_id, self.secret).hex(), **event, **changes}

    def header(self, method: str, path: str, body: bytes, **changes: Any) -> str:
        return encode(self.event(method, path, body, **changes))


def encode(event: object) -> str:
    return "Nostr " + base64.b64encode(json.dumps(event).encode()).decode()


@cache
def application() -> Litestar:
    """Built once: what it works on is in its state, which each bench replaces."""
    nothing: Any = None
    return build_application(nothing)


class Bench:
    """A running oracle with its parts in reach."""

    def __init__(self, directory: Path, now: int) -> None:
        self.directory = directory
        self.coordinator = Signer(11)
        self.other = Signer(12)
        self.uploader = Signer(13)
        self.clock = Clock()
        self.clock.set(now)
        self.open()

    def open(self) -> None:
        self.store = Store(self.directory / "oracle.sqlite3")
        key = OracleKey.load_or_create(self.directory / "key.pem")
        weather = Weather(Climate("unit"), self.store)
        self.oracle = Oracle(self.store, key, weather, self.clock)
        allowed = {
            Role.COORDINATOR: {self.coordinator.x_only, self.other.x_only},
            Role.UPLOADER: {self.uploader.x_only},
        }
        self.authorizer = Authorizer(ORIGIN, allowed)
        served = Served(self.oracle, self.authorizer, Faults())
        application().state.served = served
        transport = httpx.ASGITransport(application())
        self.http = httpx.AsyncClient(transport=transport, base_url=ORIGIN)

    async def close(self) -> None:
        await self.http.aclose()
        self.store.close()

    async def reopen(self) -> None:
        await self.close()
        self.open()

    async def post(self, path: str, body: object, signer: Signer | None = None, **changes: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        header = (signer or self.coordinator).header("POST", path, content, **changes)
        return await self.http.post(path, content=content, headers={"Authorization": header})

    async def create(self, event: dict[str, Any], signer: Signer | None = None) -> dict[str, Any]:
        response = await self.post("/oracle/events", event, signer)
        assert response.status_code == 200, response.text
        return response.json()

    async def get(self, path: str, **params: str) -> Any:
        response = await self.http.get(path, params=params)
        assert response.status_code == 200, response.text
        return response.json()

    async def control(self, path: str, body: object) -> dict[str, Any]:
        response = await self.http.post(f"/control{path}", json=body)
        assert response.status_code == 200, response.text
        return response.json()


@pytest.fixture
def now() -> int:
    """Noon of a day in September 2026."""
    return 1_790_000_000 - 1_790_000_000 % DAY + DAY // 2


@pytest.fixture
async def bench(tmp_path: Path, now: int) -> AsyncIterator[Bench]:
    running = Bench(tmp_path, now)
    yield running
    await running.close()


@pytest.fixture
def event(now: int) -> dict[str, Any]:
    """A body that is accepted: tomorrow's midnight to midnight, three entries, one place."""
    start = now + DAY // 2
    return {
        "id": event_id(1),
        "signing_date": date(start + DAY + 3_600),
        "start_observation_date": date(start),
        "end_observation_date": date(start + DAY),
        "locations": ["KORD", "KSAW"],
        "scoring_fields": ["temp_high", "wind_speed"],
        "number_of_values_per_entry": 2,
        "total_allowed_entries": 3,
        "number_of_places_win": 1,
    }


@pytest.fixture
def entries() -> dict[str, Any]:
    """Entries that are accepted for the event, not in id order."""
    return {"event_id": event_id(1), "entries": [entry(30, "Over"), entry(10, "Par"), entry(20, "Under")]}


def entry(number: int, prediction: str, **changes: Any) -> dict[str, Any]:
    picks = [{"target": "KORD", "metric": "temp_high", "prediction": prediction}]
    return {"id": event_id(number), "event_id": event_id(1), "picks": picks, **changes}


def event_id(number: int) -> str:
    return f"01926f3a-0000-7000-8000-{number:012x}"


def date(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
