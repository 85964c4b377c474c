"""The whole product in one process on a virtual clock: services, coordinator and players, their own code each."""

from __future__ import annotations

import asyncio
import random
import shutil
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast
from unittest import mock

import httpx

from coordinator.app import build
from coordinator.cli.embedded import Stack
from coordinator.cli.stack_settings import StackSettings
from coordinator.config.settings import load_settings
from coordinator.player.play import Player
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from tests.e2e.application import Competition, TestApp
from tests.e2e.chain import ChainControl
from tests.e2e.services import Services as Controls
from tests.harness.faults import FaultSource
from tests.harness.sim import loop
from tests.harness.sim.clocks import seeded_randomness, virtual_time
from tests.harness.sim.database import databases_in_the_loop
from tests.harness.sim.journal import PATIENCE_SECONDS, Journal
from tests.harness.sim.links import Manner
from tests.harness.sim.network import Network
from tests.harness.sim.services import Running, Services, run_services

PASSPHRASE: Final = Secret(b"regtest only")
OWNERS: Final = tuple(SecretKey.from_bytes(bytes([0x40 + number] * 32)) for number in (1, 2))
PORT: Final = 20_000
POLL_SECONDS: Final = 1.0
"""Between two looks of the coordinator at the chain; a real one takes five."""
LOOK_SECONDS: Final = 0.25
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (a fresh directory in it for each run)
DEPENDENCIES: Final = ("node", "lightning", "keymeld", "oracle")

T = TypeVar("T")


@dataclass(slots=True)
class _Said:
    """What a child process would have said."""

    ready: dict[str, Any]


class SimStack:
    """Addresses, as tests.e2e.services wants them of a stack of processes."""

    def __init__(self, directory: Path, services: Services) -> None:
        self.directory = directory
        self.services = services
        names = ("node", "lightning", "keymeld", "oracle")
        self.children: dict[str, _Said] = {name: _Said(services.named(name).ready) for name in names}

    def url(self, name: str) -> str:
        """Address of a service."""
        return str(self.children[name].ready["url"])

    def control(self, name: str) -> str:
        """Address of a service's control server."""
        return str(self.children[name].ready["control"]).removesuffix("/control")

    @property
    def operator_token(self) -> str:
        """The coordinator's bearer token for operators."""
        return (self.directory / "coordinator" / "operator.token").read_text().strip()


class SimApp(TestApp):
    """TestApp on a simulated machine: waiting costs nothing, so it is patient, and states are heard of, not polled."""

    __test__ = False

    def __init__(self, network: Network, stack: SimStack, chain: ChainControl, journal: Journal) -> None:
        controls = Controls(cast("Stack", stack))
        super().__init__(controls, stack.services.mock_oracle, chain)
        chain._services = controls
        self.sim = stack.services
        self.journal = journal
        self._network = network
        self._stack = stack
        self._life: AsyncExitStack | None = None

    async def start_coordinator(self) -> None:
        """A coordinator on the same directory and address, by the way that a process starts."""
        life = AsyncExitStack()
        try:
            built = await build(load_settings(self._settings()), PASSPHRASE, life, observer=self.journal)
            await life.enter_async_context(built.application.lifespan())
            url, _ = self._network.serve("coordinator", cast("Any", built.application), port=PORT)
            life.callback(self._network.remove, url)
        except BaseException:
            await life.aclose()
            raise
        self._life = life
        self._stack.children["coordinator"] = _Said({"url": url})
        key = (await self.services.operator("GET", "/identity"))["nostr_public_key"]
        self.oracle.allow(bytes.fromhex(key))
        await self.wait_for_tip()

    async def stop_coordinator(self) -> None:
        """As SIGTERM does."""
        if self._life is not None:
            life, self._life = self._life, None
            await life.aclose()

    async def restart_coordinator(self) -> None:
        """Stop, then start."""
        await self.stop_coordinator()
        await self.start_coordinator()

    def kill_coordinator(self) -> None:
        raise AssertionError("one process cannot kill its own half: see tests.harness.chaos")

    def _settings(self) -> Path:
        node, lightning = self.sim.node, self.sim.lightning
        settings = StackSettings(
            data=self._stack.directory / "coordinator",
            rpc=node.urls["known"],
            cookie=node.ready["rpc_cookie_file"],
            esplora=None,
            lightning=str(lightning.ready["url"]),
            macaroon=lightning.ready["macaroon_file"],
            keymeld=self._stack.url("keymeld"),
            oracle=self.oracle.url,
            port=PORT,
        )
        path = self._stack.directory / "coordinator.toml"
        owners = ", ".join(f'"{key.x_only.hex()}"' for key in OWNERS)
        text = settings.text().replace("poll_seconds = 0.2", f"poll_seconds = {POLL_SECONDS}")
        path.write_text(f"owners = [{owners}]\n{text}")
        return path

    async def until(self, name: str, *states: str, each: Callable[[], Awaitable[None]] | None = None) -> str:
        """See TestApp; a second between two calls of `each`."""
        return await self.journal.until(name, states, each=each)

    async def keep_appointments(self, competition: Competition, *absent: Player) -> None:
        """See TestApp, without its patience: a closing may meet an outage of half an hour."""
        async with asyncio.TaskGroup() as group:
            for player in competition.players:
                if player not in absent:
                    group.create_task(player.keep_appointment())

    async def metrics(self) -> str:
        """The coordinator's own metrics, as Prometheus reads them."""
        headers = {"Authorization": f"Bearer {self._stack.operator_token}"}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"{self._stack.url('coordinator')}/metrics", headers=headers)
        return answer.raise_for_status().text

    def dependency(self, name: str) -> Running:
        """A service by name. Raises KeyError."""
        return self.sim.named(name)

    async def outage(self, name: str, seconds: float, manner: Manner = Manner.REFUSED) -> float:
        """Take a service away from everyone for so long; the instant at which it came back."""
        for link in self.dependency(name).links:
            link.break_off(manner)
        await asyncio.sleep(seconds)
        for link in self.dependency(name).links:
            link.mend()
        return now()

    async def close(self) -> None:
        """End everything: the players, the coordinator, the world's own connections."""
        await super().close()
        await self.stop_coordinator()
        await self.services.close()


async def wait_for(probe: Callable[[], Awaitable[T | None]], what: str) -> T:
    """As tests.e2e.waiting.wait_for, on virtual time. Raises AssertionError."""
    limit = now() + PATIENCE_SECONDS
    while not (found := await probe()):
        assert now() < limit, f"waited in vain for {what}"
        await asyncio.sleep(LOOK_SECONDS)
    return found


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()


@asynccontextmanager
async def simulated(
    directory: Path, *, seed: str = "sim", faults: float = 0.0, coins: bool = True
) -> AsyncGenerator[SimApp]:
    """A machine with everything on it; `faults` is the share (percent) of the coordinator's calls that go wrong."""
    network = Network()
    async with AsyncExitStack() as stack:
        stack.enter_context(network.instead_of_sockets())
        stack.enter_context(databases_in_the_loop())
        stack.push_async_callback(network.close)
        # Nobody has to be quick on virtual time: an outage may last longer than a process would be waited for.
        stack.enter_context(mock.patch("tests.e2e.application.wait_for", wait_for))
        stack.enter_context(mock.patch("tests.e2e.application.PATIENCE_SECONDS", PATIENCE_SECONDS))
        chain = ChainControl(cast("Controls", None))
        services = await stack.enter_async_context(run_services(network, directory, lambda: chain.time))
        app = SimApp(
            network, SimStack(directory, services), chain, Journal(directory / "coordinator" / "coordinator.db")
        )
        stack.push_async_callback(app.close)
        await chain.refresh()
        await app.start_coordinator()
        if coins:
            await app.fund_operator()
        if faults:
            for name in DEPENDENCIES:
                services.named(name).link.single = FaultSource(f"{seed}/faults/{name}", faults)
        yield app


def simulate(
    scenario: Callable[[SimApp], Coroutine[Any, Any, T]],
    *,
    seed: str = "sim",
    shuffled: bool = False,
    faults: float = 0.0,
    coins: bool = True,
) -> T:
    """Play a scenario on a fresh machine; the same seed gives the same run. `shuffled`: tasks that are ready at the
    same instant run in an order drawn from the seed. Raises what the scenario raises.
    """

    machine = loop.VirtualLoop(random.Random(f"{seed}/order") if shuffled else None)

    async def play(directory: Path) -> T:
        async with simulated(directory, seed=seed, faults=faults, coins=coins) as app:
            return await scenario(app)

    # Around the loop, not in it: whatever becomes of the loop, the real clocks come back.
    with ExitStack() as world:
        world.enter_context(virtual_time(machine.time))
        world.enter_context(seeded_randomness(seed))
        directory = Path(world.enter_context(tempfile.TemporaryDirectory(dir=_memory())))
        return loop.run(play(directory), machine)


def _memory() -> str | None:
    """Files are kept in memory where there is room: no rule here is about power loss."""
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free > 1_000_000_000:
        return str(SHARED_MEMORY)
    return None
