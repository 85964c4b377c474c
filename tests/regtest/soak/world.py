"""TestApp on real daemons whose oracle is a process too; its own calls wait while a daemon is down.

Players and the coordinator do not wait: they live through the outage.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from coordinator.cli.embedded import Stack
from coordinator.player.play import Player
from tests.e2e.application import Competition
from tests.e2e.mock_oracle import MockOracle
from tests.regtest.e2e.application import RealApp, bake_macaroon, ensure_estimate
from tests.regtest.e2e.chain import RealChain
from tests.regtest.e2e.services import COORDINATOR, RealServices, start_stack
from tools.regtest import Rig

P = ParamSpec("P")
T = TypeVar("T")

SEED = "soak"


class OracleProcess:
    """The stack's embedded oracle, as far as TestApp asks for one: the weather decides, not a queue of outcomes."""

    def __init__(self, stack: Stack) -> None:
        self.url = stack.url("oracle")
        self._stack = stack

    def allow(self, x_only: bytes) -> None:
        """See MockOracle."""
        self._stack.introduce_to_oracle(x_only.hex())


class SoakServices(RealServices):
    """Every call of the scenario holds `quiet`, so that none meets a daemon that was killed for the sake of others."""

    def __init__(self, stack: Stack, rig: Rig) -> None:
        super().__init__(stack, rig)
        self.quiet = asyncio.Lock()

    async def blocking(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """See RealServices."""
        async with self.quiet:
            return await super().blocking(work, *arguments, **options)

    async def public(self, path: str) -> bytes:
        """See World."""
        async with self.quiet:
            return await super().public(path)

    async def operator(self, method: str, path: str, body: object | None = None) -> Any:
        """See World."""
        async with self.quiet:
            return await super().operator(method, path, body)

    async def competition(self, name: str) -> dict[str, Any]:
        """See World."""
        async with self.quiet:
            return await super().competition(name)


class SoakApp(RealApp):
    """The application of a soak."""

    def __init__(self, services: SoakServices, oracle: OracleProcess, chain: RealChain) -> None:
        super().__init__(services, cast(MockOracle, oracle), chain)
        self.quiet = services.quiet
        """Held by each call of the scenario, and by whoever takes a daemon away."""

    async def invite(self, competition: Competition, number: int) -> list[Player]:
        """Players who have not joined yet; they belong to the competition."""
        for _ in range(number):
            competition.players.append(await self.new_player(competition))
        return competition.players


@asynccontextmanager
async def soak_application(rig: Rig, directory: Path) -> AsyncGenerator[SoakApp]:
    """keymeld, oracle and coordinator of their own on a rig; `directory` is made."""
    async with AsyncExitStack() as exits:
        stack = await asyncio.to_thread(start_stack, rig, directory)
        exits.push_async_callback(asyncio.to_thread, stack.stop)
        await asyncio.to_thread(stack.start_services, seed=SEED, names=("oracle",))
        for name in ("keymeld", "oracle"):
            # Competitions name these addresses: a successor has to be found there.
            stack.ports[name] = int(stack.url(name).rpartition(":")[2])
        services = SoakServices(stack, rig)
        exits.push_async_callback(services.close)
        await ensure_estimate(services)
        chain = RealChain(services)
        await chain.refresh()
        await asyncio.to_thread(bake_macaroon, stack, stack.url("oracle"), rig[COORDINATOR])
        app = SoakApp(services, OracleProcess(stack), chain)
        await app.start_coordinator()
        await app.fund_operator()
        exits.push_async_callback(app.close)
        yield app
