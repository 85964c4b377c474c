"""Gates: what keeps an expansive duty back at the moment at which it would act. The one place where it is decided.

A competition that is stopped, a chain or Lightning that is behind, and whatever else the house adds as a check. Nothing
is remembered from one attempt to the next: the node and Lightning are asked anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from coordinator.domain.duties import Duty
from coordinator.domain.gates import Consequence, consequence, held
from coordinator.domain.lane import Lane
from coordinator.domain.protection import protects
from coordinator.engine.chain.lookout import Lookout
from coordinator.engine.executors.services import Services
from coordinator.ports.faults import PortError

PATIENCE_SECONDS: Final = 5.0
HELD_SECONDS: Final = 2.0
"""A duty that a gate keeps back looks again after so long."""

Check = Callable[[], Awaitable[str | None]]
"""Why no irrevocable step may be taken by any competition now; None when nothing speaks against it."""

HouseCheck = Callable[[Duty, Lane], str | None]
"""Why the house's money keeps this duty back, whatever chain and Lightning say."""


class Gates:
    """Asked by the worker before each attempt."""

    def __init__(self, *checks: Check, house: HouseCheck | None = None) -> None:
        """`checks` hold for irrevocable steps of every competition; the first that objects is the reason. `house` is
        asked about every duty.
        """
        self._checks = checks
        self._house = house

    async def reason(self, duty: Duty, lane: Lane, stopped: str | None) -> str | None:
        """Why a duty must not act now; None when it may. `stopped`: why its competition waits for an operator."""
        if stopped is not None and not protects(duty, lane):
            return f"the competition is stopped: {stopped}"
        if self._house is not None and (reason := self._house(duty, lane)) is not None:
            return reason
        what = consequence(duty, lane)
        if what is not Consequence.IRREVOCABLE:
            return None
        if stopped is not None:
            return "the competition is stopped: nothing is sent"
        for check in self._checks:
            if (reason := await check()) is not None:
                return reason
        return None


class ChainGate:
    """The check of the chain: node and Lightning are asked at the moment of the step."""

    def __init__(self, services: Services, lookout: Lookout) -> None:
        self._s = services
        self._lookout = lookout

    async def __call__(self) -> str | None:
        """See Check."""
        # The node first: a block that it has just found excuses Lightning.
        await self._node()
        await self._lightning()
        self._lookout.stored((await self._s.clock.tip()).height)
        return held(Consequence.IRREVOCABLE, self._lookout.sight())

    async def _node(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                tip = await self._s.chain.tip()
        except (PortError, TimeoutError):
            self._lookout.silent()
        else:
            self._lookout.heard(tip.known, tip.time)

    async def _lightning(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                info = await self._s.lightning.info()
        except (PortError, TimeoutError):
            self._lookout.lightning(None)
        else:
            self._lookout.lightning(info.synced_to_chain)
