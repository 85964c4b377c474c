"""What lies between who asks and a service: outages on virtual time, single faults drawn from a seed (H-FAULT)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tests.harness.faults import Fault, FaultKind, FaultSource

COORDINATOR: Final = "coordinator/"
"""How its User-Agent begins: only the coordinator meets single faults, an outage meets everyone."""


class Manner(StrEnum):
    """How an outage looks from outside."""

    REFUSED = "refuses"
    INTERNAL_ERROR = "answers 500"
    TOO_MANY = "answers 429"
    HALF_OPEN = "never answers"
    SLOW = "half a second late"


@dataclass(slots=True)
class Link:
    """The way to one service under one address. `single` draws what happens to the coordinator's calls one by one."""

    name: str
    single: FaultSource | None = None
    calls: int = 0
    """Calls that reached the service."""
    watch: Callable[[str, str, bytes], None] | None = None
    """Hears method, path and body of each call of the coordinator's that reached the service."""
    loses: Callable[[str, str], bool] | None = None
    """Asked with method and path of each call of the coordinator's: whether its answer gets lost."""
    _manner: Manner | None = None
    _cut: asyncio.Event = field(default_factory=asyncio.Event)
    _parted_until: float = 0.0

    def break_off(self, manner: Manner = Manner.REFUSED) -> None:
        """An outage begins: who is connected loses the connection, unless it is only slow."""
        self._manner = manner
        if manner is not Manner.SLOW:
            self._cut.set()
            self._cut = asyncio.Event()

    def mend(self) -> None:
        """The outage ends."""
        self._manner = None

    @property
    def cut(self) -> asyncio.Event:
        """Set when the connections of now are lost."""
        return self._cut

    @property
    def manner(self) -> Manner | None:
        """How the service is away now; None when it is not."""
        return Manner.REFUSED if _now() < self._parted_until else self._manner

    def draw(self, agent: str, method: str, path: str) -> Fault | None:
        """What happens to the next call of someone."""
        if not agent.startswith(COORDINATOR):
            return None
        if self.loses is not None and self.loses(method, path):
            return Fault(FaultKind.LOST_ACKNOWLEDGEMENT)
        if self.single is None:
            return None
        fault = self.single.draw()
        if fault is not None and fault.kind is FaultKind.PARTITION:
            self._parted_until = max(self._parted_until, _now() + fault.seconds)
        return fault


def _now() -> float:
    return asyncio.get_running_loop().time()
