"""Client of noaa-oracle 2.x. Reads are repeated, writes never: what a lost answer left behind is read first.

A write is signed afresh each time it is sent (NIP-98), for the oracle's public address, which may differ from
the address it is reached at. Events of 1.x are read too; they come with the secret nonce, which is reduced to its
point here, reported as a warning, and on mainnet refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar
from uuid import UUID

import httpx
import msgspec
from msgspec import Struct

from coordinator.adapters.http import HttpClient, Reply, RequestBudget, TransportError
from coordinator.adapters.oracle import planning
from coordinator.adapters.oracle.failures import may_have_happened, refusal, unknown_outcome
from coordinator.adapters.oracle.translation import (
    differences,
    entries_to_json,
    event_from_wire,
    event_to_json,
    report_from_wire,
    same_entries,
    source_from_wire,
    station_from_wire,
)
from coordinator.adapters.oracle.wire import EventSummary, PublicKey, WireEvent, WireSource, WireStation
from coordinator.ports.clock import WallClock
from coordinator.ports.faults import Rejected
from coordinator.ports.oracle import (
    AttestationReport,
    EntriesConflict,
    EntriesRefused,
    EntryPicks,
    EventConflict,
    EventMissing,
    EventRefused,
    Oracle,
    OracleEntry,
    OracleEvent,
    OracleSource,
    PlanReport,
    SecretNonceServed,
    Station,
)
from coordinator_core.competition.observation import CreateEvent, Observation, ScoringRules
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.nostr.nip98 import build_authorization
from coordinator_core.secp256k1 import SecretKey, parse_point

SERVICE = "oracle"
MAX_BODY_BYTES = 8 * 1024 * 1024
"""An event of 20,000 outcomes is 1.4 MB."""
READ_SECONDS = 20.0
WRITE_SECONDS = 60.0
"""Announcing the largest event takes the oracle seconds."""

T = TypeVar("T")


class NoaaSettings(Struct, frozen=True, kw_only=True):
    """Where the oracle is and what is expected of it."""

    url: str
    public_origin: str | None = None
    """Scheme and host that signatures name, when the oracle is reached at another address than it is known by."""
    is_mainnet: bool


class NoaaOracle(Oracle):
    """The oracle port. `identity` signs what is written and owns the events that are made."""

    def __init__(
        self,
        settings: NoaaSettings,
        identity: SecretKey,
        clock: WallClock,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._is_mainnet = settings.is_mainnet
        self._origin = (settings.public_origin or settings.url).rstrip("/")
        self._identity = identity
        self._clock = clock
        self._http = HttpClient(
            SERVICE,
            settings.url,
            fault=Fault.ORACLE,
            timeout=READ_SECONDS,
            budget=RequestBudget(per_second=10.0, burst=20),
            max_connections=4,
            max_body=MAX_BODY_BYTES,
            transport=transport,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def public_key(self) -> bytes:
        """See the port. Raises VerificationFailed when what is served is no key."""
        answer = await self.read("/oracle/pubkey", PublicKey)
        try:
            return parse_point(answer.key, "oracle key")
        except InvalidInput as error:
            raise VerificationFailed("oracle key", error.reason, fault=Fault.ORACLE) from error

    async def sources(self) -> tuple[OracleSource, ...]:
        """See the port."""
        return tuple(map(source_from_wire, await self.read("/oracle/sources", list[WireSource])))

    async def stations(self) -> tuple[Station, ...]:
        """See the port."""
        found = map(station_from_wire, await self.read("/stations", list[WireStation]))
        return tuple(sorted(found, key=lambda station: station.id))

    async def check_plan(self, observation: Observation, rules: ScoringRules) -> PlanReport:
        """See the port."""
        return await planning.check_plan(self, observation, rules)

    async def create_event(self, event: CreateEvent) -> OracleEvent:
        """See the port."""
        found = await self.get_event(event.id)
        if found is None:
            found = await self._create(event)
        wrong = differences(found, event)
        if wrong:
            raise EventConflict(SERVICE, f"event {event.id} differs in {', '.join(wrong)}", fault=Fault.COORDINATOR)
        return found

    async def get_event(self, event_id: UUID) -> OracleEvent | None:
        """See the port. Raises SecretNonceServed on mainnet."""
        reply = await self._http.get_with_retries(f"/oracle/events/{event_id}")
        if reply.status == 404:
            return None
        return self._event(event_id, _expect(reply))

    async def submit_entries(self, event_id: UUID, entries: Sequence[EntryPicks]) -> OracleEvent:
        """See the port."""
        found = await self._existing(event_id)
        if not found.entries:
            body = entries_to_json(event_id, entries)
            reply = await self._write(f"/oracle/events/{event_id}/entries", body, EntriesRefused)
            found = await self._existing(event_id)
            if not found.entries:
                # Nothing is there yet; the next call finds what arrived late, or sends again.
                raise reply if isinstance(reply, TransportError) else reply.later()
        if not same_entries(found.entries, entries):
            raise EntriesConflict(SERVICE, f"event {event_id} holds other entries", fault=Fault.COORDINATOR)
        return found

    async def get_entries(self, event_id: UUID) -> tuple[OracleEntry, ...]:
        """See the port."""
        return (await self._existing(event_id)).entries

    async def get_attestation(self, event_id: UUID) -> AttestationReport:
        """See the port. Reads the row of the list, which has no locking points."""
        reply = await self._http.get_with_retries("/oracle/events", params={"event_ids": str(event_id), "limit": 1})
        rows = reply.decode(list[EventSummary]) if reply.ok else []
        for row in rows:
            if row.id == event_id:
                return report_from_wire(event_id, row)
        # 1.x does not know the filter.
        return (await self._existing(event_id)).report

    async def read(self, path: str, kind: type[T], params: dict[str, str] | None = None) -> T:
        """GET a path as `kind`, repeated when the oracle asks for it."""
        return _expect(await self._http.get_with_retries(path, params=params)).decode(kind)

    async def _create(self, event: CreateEvent) -> OracleEvent:
        reply = await self._write("/oracle/events", event_to_json(event), EventRefused)
        if isinstance(reply, Reply):
            return self._event(event.id, reply)
        found = await self.get_event(event.id)
        if found is None:
            raise reply
        return found

    async def _existing(self, event_id: UUID) -> OracleEvent:
        found = await self.get_event(event_id)
        if found is None:
            raise EventMissing(SERVICE, f"no event {event_id}", fault=Fault.ORACLE, remote_code="404")
        return found

    async def _write(self, path: str, body: dict[str, Any], rejected: type[Rejected]) -> Reply | TransportError:
        """POST once. Returns, instead of raising, the error of an answer that leaves open what happened."""
        content = msgspec.json.encode(body)
        signed = build_authorization("POST", self._origin + path, content, self._identity, self._clock.now())
        headers = {"Authorization": signed, "Content-Type": "application/json"}
        try:
            reply = await self._http.post(path, content=content, headers=headers, timeout=WRITE_SECONDS)
        except TransportError as error:
            if not error.sent:
                raise
            return error
        if reply.status == 409:
            return reply.later()
        if may_have_happened(reply):
            return unknown_outcome(reply)
        return _expect(reply, rejected)

    def _event(self, event_id: UUID, reply: Reply) -> OracleEvent:
        event = event_from_wire(event_id, reply.decode(WireEvent))
        if event.served_secret_nonce and self._is_mainnet:
            raise SecretNonceServed(SERVICE, "it serves secret nonces; its key is worth nothing", fault=Fault.ORACLE)
        return event


def _expect(reply: Reply, rejected: type[Rejected] = Rejected) -> Reply:
    if reply.status != 200:
        raise refusal(reply, rejected)
    return reply
