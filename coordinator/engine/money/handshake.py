"""The handshake with oracle and keymeld before tickets are sold: what they can do against what the terms need, and the
keys under which they were first met.

What a service has not said yet is unknown, and unknown sells no ticket.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from typing import Final

import structlog
from msgspec import Struct

from coordinator.engine.components import HOUSE
from coordinator.engine.executors.services import Services
from coordinator.engine.new_money import Pause
from coordinator.engine.operators.freezing import Freezer
from coordinator.ports.clock import MOST_SKEW
from coordinator.ports.faults import PortError
from coordinator.ports.keymeld import Capabilities, SessionLimits
from coordinator.ports.oracle import OracleSource
from coordinator_core.competition.chain_cost import ContractShape
from coordinator_core.competition.closing import BATCH_ITEMS, batch_count, max_signing_sessions
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import CoreError
from coordinator_core.units import UnixTime

NEEDED: Final = frozenset({"service_participation", "user_authentication"})
"""Features of a gateway without which no competition can be played."""
UNKNOWN: Final = "has not said yet what it can do"
PATIENCE_SECONDS: Final = 30.0

log = structlog.get_logger()


class OracleSays(Struct, frozen=True):
    """The oracle as it was last read."""

    key: str
    """The attestation key, 33 bytes in hex."""
    metrics: Mapping[str, frozenset[str]]
    """Ids of the metrics of each source."""
    at: UnixTime


class KeymeldSays(Struct, frozen=True):
    """The gateway as it was last read."""

    capabilities: Capabilities
    skew: int
    """Seconds that its clock is ahead of ours."""
    at: UnixTime


class Handshake:
    """What oracle and keymeld said last. None: nothing yet."""

    def __init__(self, services: Services, freezer: Freezer) -> None:
        self._s = services
        self._freezer = freezer
        self.oracle: OracleSays | None = None
        self.keymeld: KeymeldSays | None = None
        self.changed: dict[str, str] = {}
        """Keys that are not those that were pinned, by whose they are."""
        self.changed_since: UnixTime | None = None
        """Wall clock; None while every key is as it was."""

    @property
    def is_known(self) -> bool:
        """True once both have said what they can do."""
        return self.oracle is not None and self.keymeld is not None

    async def read(self, accepted: frozenset[str]) -> None:
        """Ask both again. One that does not answer leaves what it said before; one whose key changed freezes new money,
        unless an operator accepted the key (`accepted`, see `pin_name`).
        """
        await asyncio.gather(self._tried(self._oracle(accepted)), self._tried(self._keymeld(accepted)))

    async def _tried(self, question: Coroutine[None, None, None]) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await question
        except (PortError, CoreError, TimeoutError) as error:
            log.debug("no handshake", error=str(error))
        except Exception:
            # A defect of ours: nothing is known of this service then, and nothing of the other one is lost.
            log.exception("handshake raised")

    async def _oracle(self, accepted: frozenset[str]) -> None:
        key = (await self._s.oracle.public_key()).hex()
        sources = await self._s.oracle.sources()
        await self._pin("oracle", key, accepted)
        self.oracle = OracleSays(key, {source.id: _metrics(source) for source in sources}, self._s.clock.wall())

    async def _keymeld(self, accepted: frozenset[str]) -> None:
        capabilities = await self._s.keymeld.capabilities()
        for enclave in await self._s.keymeld.enclaves():
            # A new key under a new epoch is what a restarted enclave has; under the same epoch it is another enclave.
            await self._pin(f"enclave {enclave.enclave_id}/{enclave.key_epoch}", enclave.public_key.hex(), accepted)
        theirs = await self._s.keymeld.gateway_time()
        now = self._s.clock.wall()
        self.keymeld = KeymeldSays(capabilities, theirs - now, now)

    async def _pin(self, whose: str, key: str, accepted: frozenset[str]) -> None:
        """The first key that is met is the one that counts."""
        store = self._s.store
        pinned = await store.pinned(HOUSE, whose)
        if pinned is None:
            async with store.write() as tx:
                pinned = await tx.pin(HOUSE, whose, key.encode())
        if pinned.decode() == key or pin_name(whose, key) in accepted:
            self.changed.pop(whose, None)
            self.changed_since = self.changed_since if self.changed else None
            return
        self.changed[whose] = key
        self.changed_since = self.changed_since or self._s.clock.wall()
        log.error("key changed", whose=whose, pinned=pinned.decode(), now=key)
        await self._freezer.alarm(f"the key of {whose} is not the one that it had at first")

    def lacking(self, terms: Terms) -> tuple[Pause, ...]:
        """What speaks against tickets of these terms, by what both said last."""
        if self.oracle is None or self.keymeld is None:
            said = {"oracle": self.oracle, "keymeld": self.keymeld}
            return tuple(Pause(name, UNKNOWN, None) for name, answer in said.items() if answer is None)
        found = [*_oracle_lacks(self.oracle, terms), *_keymeld_lacks(self.keymeld, terms)]
        return tuple(Pause(name, reason, None) for name, reason in found)


def pin_name(whose: str, key: str) -> str:
    """How a key is named in the audit log when an operator accepts it."""
    return f"{whose}={key}"


def _metrics(source: OracleSource) -> frozenset[str]:
    return frozenset(offered.metric.id for offered in source.metrics)


def _oracle_lacks(says: OracleSays, terms: Terms) -> Iterator[tuple[str, str]]:
    if says.key != terms.oracle.public_key:
        yield "oracle", "has another key than the terms name"
    metrics = says.metrics.get(terms.observation.source.id)
    if metrics is None:
        yield "oracle", f"does not serve the source {terms.observation.source.id}"
        return
    if missing := sorted({metric.id for metric in terms.observation.metrics} - metrics):
        yield "oracle", f"does not serve {', '.join(missing)}"


def _keymeld_lacks(says: KeymeldSays, terms: Terms) -> Iterator[tuple[str, str]]:
    can = says.capabilities
    if abs(says.skew) > MOST_SKEW:
        where = "ahead of" if says.skew > 0 else "behind"
        yield "keymeld", f"is {abs(says.skew)} s {where} our clock: no request would be taken"
    if lacks := sorted(NEEDED & set(can.lacks)):
        yield "keymeld", f"does not have {', '.join(lacks)}"
    if can.limits is None:
        yield "keymeld", f"({can.version}) does not speak the protocol with signed manifests"
        return
    for what, needed, most in _needs(terms, can.limits):
        if needed > most:
            yield "keymeld", f"takes at most {most} {what}, these terms need {needed}"


def _needs(terms: Terms, limits: SessionLimits) -> Iterator[tuple[str, int, int]]:
    shapes = [
        ContractShape(entries, terms.places) for entries in range(terms.entries.minimum, terms.entries.maximum + 1)
    ]
    sessions = max(max_signing_sessions(batch_count(shape)) for shape in shapes)
    yield "sets of signers", max(shape.winner_sets for shape in shapes), limits.subsets
    yield "signing sessions", sessions, limits.signing_sessions
    yield "items in a batch", BATCH_ITEMS, limits.batch_items
    yield "seconds for a session", terms.schedule.closing.attempt, limits.seconds
