"""Ends one daemon at a time with SIGKILL, leaves it away for a moment, and brings it back."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager

from tests.regtest.e2e.application import ensure_estimate
from tests.regtest.e2e.services import COORDINATOR, PLAYERS
from tests.regtest.soak.plan import Kill, Victim
from tests.regtest.soak.world import SEED, SoakApp
from tools.regtest import Bitcoind
from tools.regtest.lnd import Lnd


class Killer:
    """Kills what a plan says."""

    def __init__(self, app: SoakApp, seed: int) -> None:
        self._app = app
        self._chance = random.Random(seed)
        self._deeds: Mapping[Victim, Callable[[float], None]] = {
            Victim.BITCOIND: self._bitcoind,
            Victim.LND_COORDINATOR: lambda away: self._lnd(self._app.rig[COORDINATOR], away),
            Victim.LND_ROUTER: lambda away: self._lnd(self._app.rig["router"], away),
            Victim.LND_PLAYER: lambda away: self._lnd(self._app.rig[self._chance.choice(PLAYERS)], away),
            Victim.COORDINATOR: self._coordinator,
            Victim.KEYMELD: lambda away: self._embedded("keymeld", away),
            Victim.ORACLE: lambda away: self._embedded("oracle", away),
        }

    @asynccontextmanager
    async def during(self, kills: tuple[Kill, ...]) -> AsyncGenerator[None]:
        """Carry these kills out while the body runs; every daemon is back when this ends."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._carry_out(kills))
            yield

    async def _carry_out(self, kills: tuple[Kill, ...]) -> None:
        for kill in kills:
            await asyncio.sleep(kill.delay)
            async with self._app.quiet:
                await asyncio.to_thread(self._deeds[kill.victim], kill.away)
            if kill.victim is Victim.BITCOIND:
                # What it had learnt of fees was in its memory.
                await ensure_estimate(self._app.services)

    def _bitcoind(self, away: float) -> None:
        def kill(chain: Bitcoind) -> None:
            chain.kill()
            time.sleep(away)

        self._app.rig.restart_chain(how=kill)

    def _lnd(self, node: Lnd, away: float) -> None:
        node.kill()
        time.sleep(away)
        self._app.rig.rejoin(node)

    def _coordinator(self, away: float) -> None:
        stack = self._app.services.stack
        stack.children["coordinator"].kill()
        time.sleep(away)
        stack.start_coordinator(oracle_url=stack.url("oracle"))

    def _embedded(self, name: str, away: float) -> None:
        stack = self._app.services.stack
        stack.children[name].kill()
        time.sleep(away)
        stack.start_services(seed=SEED, names=(name,))
