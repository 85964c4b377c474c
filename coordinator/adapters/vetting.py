"""Nobody works with a service before it was found to be the right one: at the start, or when it first answers."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from coordinator.ports.condition import Condition, Examined, within
from coordinator.ports.faults import Unreachable, Unsuitable
from coordinator_core.errors import Fault

PATIENCE_SECONDS: Final = 10.0

log = structlog.get_logger()


class Vetting:
    """One service of this process. Once it has passed it is not looked at again here; /readyz looks each time."""

    def __init__(self, examined: Examined, fault: Fault, *, patience: float = PATIENCE_SECONDS) -> None:
        """`fault`: who has to act while it gives no answer, which it has `patience` seconds for."""
        self._examined = examined
        self._fault = fault
        self._patience = patience
        self._passed = False
        self._said = ""
        self._asking: asyncio.Task[Condition] | None = None

    async def require(self) -> None:
        """Returns once the service was found to be suitable. Raises Unsuitable, or Unreachable while nobody knows."""
        if self._passed:
            return
        found = await self.look()
        if found.unsuitable:
            raise Unsuitable(self._examined.service, found.problem, fault=Fault.COORDINATOR)
        if not found.answers:
            raise Unreachable(self._examined.service, found.problem, fault=self._fault)

    async def look(self) -> Condition:
        """Examine it now; everyone who asks meanwhile is given the same finding."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._look(), name=f"examine {self._examined.service}")
        return await asyncio.shield(self._asking)

    async def _look(self) -> Condition:
        found = await within(self._examined, self._patience)
        self._passed = found.answers and not found.unsuitable
        self._tell(found)
        return found

    def _tell(self, found: Condition) -> None:
        """One sentence for the operator, once."""
        known, said = {"service": found.service, "version": found.version}, found.problem or found.note or "ready"
        if said == self._said:
            return
        self._said = said
        if found.unsuitable:
            log.error("cannot be used", **known, reason=found.problem)
        elif found.problem:
            log.warning("not ready yet", **known, reason=found.problem)
        elif found.note:
            log.warning("worth knowing", **known, note=found.note)
        else:
            log.info("ready", **known)
