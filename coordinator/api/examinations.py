"""Whether the services that an operator sets up can be worked with; what /readyz answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from coordinator.ports.condition import Condition, Examined, within

FRESH_SECONDS = 2.0
"""How long a finding is given again: whoever asks more often does not reach the services."""
PATIENCE_SECONDS = 10.0


class ServiceReadiness(Struct, frozen=True):
    """One service as it was found."""

    service: str
    ready: bool
    version: str
    problem: str
    note: str


class Readiness(Struct, frozen=True):
    """All services."""

    ready: bool
    services: tuple[ServiceReadiness, ...]


class Examinations:
    """Examines services together, once for all who ask within two seconds."""

    def __init__(
        self, examined: Sequence[Examined], *, fresh: float = FRESH_SECONDS, patience: float = PATIENCE_SECONDS
    ) -> None:
        """Findings are given again for `fresh` seconds; a service has `patience` seconds to answer."""
        self._examined = tuple(examined)
        self._fresh = fresh
        self._patience = patience
        self._lock = asyncio.Lock()
        self._found: Readiness | None = None
        self._found_at = 0.0

    async def readiness(self) -> Readiness:
        """As the services are now, or were two seconds ago."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._found is None or now - self._found_at >= self._fresh:
                asked = (within(item, self._patience) for item in self._examined)
                self._found = _readiness(await asyncio.gather(*asked))
                self._found_at = asyncio.get_running_loop().time()
            return self._found


def _readiness(found: Sequence[Condition]) -> Readiness:
    services = tuple(ServiceReadiness(c.service, c.is_ready, c.version, c.problem, c.note) for c in found)
    return Readiness(all(service.ready for service in services), services)
