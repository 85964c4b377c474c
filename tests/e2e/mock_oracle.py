"""An oracle in the test's own process that attests what the test says, over the same HTTP as noaa-oracle 2.x.

Rules, points, statement and signatures are those of the embedded oracle; only the winners are queued instead of
being scored, and everything random comes from a seed. An event without a queued outcome is never attested.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import uvicorn
from msgspec import Struct, structs, to_builtins

from coordinator.embedded.oracle.application import build_application
from coordinator.embedded.oracle.authorization import Authorizer, Role
from coordinator.embedded.oracle.climate import Climate
from coordinator.embedded.oracle.clock import Clock
from coordinator.embedded.oracle.faults import Faults
from coordinator.embedded.oracle.key import Nonce, OracleKey
from coordinator.embedded.oracle.outcomes import ranking_outcomes
from coordinator.embedded.oracle.process import listen
from coordinator.embedded.oracle.records import Entry, Event
from coordinator.embedded.oracle.routes import Served
from coordinator.embedded.oracle.scoring import Scored
from coordinator.embedded.oracle.service import Oracle
from coordinator.embedded.oracle.statement import sign_event
from coordinator.embedded.oracle.store import Store
from coordinator.embedded.oracle.views import Json
from coordinator.embedded.oracle.weather import Weather
from coordinator_core.secp256k1 import SecretKey, sha256


class Outcome(Struct, frozen=True):
    """Winners of an event, best first, as entry indices in id order."""

    winners: tuple[int, ...]

    @classmethod
    def refund_all(cls, entries: int) -> Outcome:
        """Everyone gets the stake back."""
        return cls(tuple(range(entries)))


class LockingConditions(Struct, frozen=True):
    """What contracts are built on: points of 33 bytes, and the last moment of the oracle."""

    locking_points: tuple[bytes, ...]
    expiry: int


class MockOracle:
    """Use as an async context manager; serves on a free port of the loopback from within the test's event loop."""

    def __init__(self, seed: str = "mock", now: Callable[[], float] = time.time) -> None:
        self.clock = Clock(now)
        self.url = ""
        self.faults = Faults()
        self.away = False
        """Every request is answered 503 while this is true."""
        self._queued: dict[UUID, Outcome] = {}
        self._store = Store(":memory:")
        key = _SeededKey(seed)
        self._oracle = _SettlesWhenRead(
            self._store, key, Weather(Climate(seed), self._store), self.clock, self._winners
        )
        self._allowed: dict[Role, set[bytes]] = {Role.COORDINATOR: set(), Role.UPLOADER: set()}

    @property
    def public_key(self) -> bytes:
        """The attestation key, 33 bytes."""
        return self._oracle.key.public_key

    def allow(self, x_only: bytes) -> None:
        """Let this Nostr key (32 bytes) create events."""
        self._allowed[Role.COORDINATOR].add(x_only)

    def queue_attestation(self, event_id: UUID, outcome: Outcome) -> None:
        """Attest this from the signing date on. Raises ValueError for what is no outcome of the event."""
        found = self._store.event(event_id)
        if found is not None and outcome.winners not in _outcomes(found[0]):
            raise ValueError(f"{outcome.winners} is not an outcome of event {event_id}")
        self._queued[event_id] = outcome

    def get_locking_conditions(self, event_id: UUID) -> LockingConditions:
        """Points and expiry of an event. Raises KeyError."""
        return LockingConditions(tuple(self._store.points(event_id)), self._event(event_id).expiry)

    def get_entries(self, event_id: UUID) -> list[Entry]:
        """Entries of an event in the order of their ids, which is the order of player indices. Raises KeyError."""
        self._event(event_id)
        return self._store.entries(event_id)

    def sign_changed_statement(self, event_id: UUID, **changes: object) -> Json:
        """What this oracle would state and sign if the event had been made with other members. Raises KeyError."""
        changed = Event(**{**structs.asdict(self._event(event_id)), **changes})
        return to_builtins(sign_event(changed, [e.id for e in self._store.entries(event_id)], self._oracle.key))

    async def __aenter__(self) -> Self:
        self._listener = listen(0)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        served = Served(self._oracle, Authorizer(self.url, self._allowed), self.faults)
        self._application = build_application(served)
        config = uvicorn.Config(self._answer, interface="asgi3", log_config=None, access_log=False)
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))
        await self._server.ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        await self._serving
        self._listener.close()
        self._store.close()

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and self.away:
            await send({"type": "http.response.start", "status": 503, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._application(scope, receive, send)

    def _event(self, event_id: UUID) -> Event:
        found = self._store.event(event_id)
        if found is None:
            raise KeyError(event_id)
        return found[0]

    def _winners(self, event: Event, _: Sequence[Scored]) -> tuple[int, ...] | None:
        outcome = self._queued.get(event.id)
        return None if outcome is None else outcome.winners


class _SeededKey(OracleKey):
    """The key and every nonce follow from the seed."""

    def __init__(self, seed: str) -> None:
        self._seed = seed.encode()
        super().__init__(SecretKey.from_bytes(sha256(b"mock-oracle/key" + self._seed)))

    def new_nonce(self, event_id: bytes, salt: bytes | None = None) -> Nonce:
        return super().new_nonce(event_id, salt or sha256(b"mock-oracle/salt" + self._seed))


class _SettlesWhenRead(Oracle):
    """No background work: whoever looks at an event finds it settled as far as it can be."""

    def event(self, event_id: UUID) -> Json:
        self.settle(impatient=True)
        return super().event(event_id)

    def events(self, ids: Sequence[UUID], limit: int) -> list[Json]:
        self.settle(impatient=True)
        return super().events(ids, limit)


class _Server(uvicorn.Server):
    """Leaves the test runner's signal handlers alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _outcomes(event: Event) -> list[tuple[int, ...]]:
    return ranking_outcomes(event.allowed_entries, event.places)
