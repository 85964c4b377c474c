"""The embedded services with a proxy before each, and the lives of a coordinator that knows only the proxies."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import httpx

from coordinator.cli.demo.world import WorldError
from coordinator.cli.embedded import Stack
from coordinator.cli.stack_settings import StackSettings
from tests.e2e.chain import ChainControl
from tests.e2e.services import DAY, DAYS_TO_SPEND, Services
from tests.harness.fault_proxy import Call, FaultProxy
from tests.harness.faults import FaultSource
from tests.harness.ledger import Ledger, effect_name
from tests.harness.lives import SHARES, Lives, Plan
from tests.harness.outside import Records
from tests.harness.progress import Progress, Stuck

SERVICES: Final = ("node", "lightning", "keymeld", "oracle")
COMMAND_SECONDS: Final = 10.0
ASK_AGAIN_SECONDS: Final = 0.25
PORTS: Final = (15_000, 30_000)
ASKED: Final = 1_200
"""How often a coordinator is asked before it counts as gone."""

T = TypeVar("T")


def lasting_port(rng: random.Random) -> int:
    """A port that nobody listens on, below those that the system hands out to outgoing connections: one of these could
    take it while the coordinator is dead, and it would never come back.
    """
    while True:
        port = rng.randrange(*PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port


class ChaosWorld:
    """Use as an async context manager: everything runs under one directory and ends with it."""

    def __init__(
        self,
        directory: Path,
        seed: str,
        faults: float,
        progress: Progress,
        shares: Mapping[Plan, int] = SHARES,
        *,
        full_caches: bool = False,
    ) -> None:
        """`faults`: the share of calls that go wrong, in percent. `full_caches`: see caches.py."""
        self.directory = directory
        self.progress = progress
        self.stack = Stack(directory / "world")
        self.faults = {name: FaultSource(f"{seed}/faults/{name}", faults) for name in SERVICES}
        self.ledger = Ledger(self._height)
        self.outages = 0
        self.has_faults = faults > 0
        self._seed = seed
        self._shares = shares
        self._full_caches = full_caches
        self._proxies: dict[str, FaultProxy] = {}
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> Self:
        try:
            await self._open()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._exits.aclose()

    async def _open(self) -> None:
        self.stack.directory.mkdir(parents=True)
        self._exits.push_async_callback(asyncio.to_thread, self.stack.stop)
        for name in SERVICES:
            self._proxies[name] = FaultProxy("", self.faults[name], self._hear(name), self._tell(name))
            await self._proxies[name].listen()
            await self._exits.enter_async_context(self._proxies[name])
        await asyncio.to_thread(self._start_services)
        for name in SERVICES:
            self._proxies[name].aim(self.stack.url(name))
        self.services = Services(self.stack)
        self._exits.push_async_callback(self.services.close)
        self.chain = ChainControl(self.services)
        await self.chain.refresh()
        self.records = Records(self.stack.directory / "coordinator" / "coordinator.db")
        log = self.directory / "coordinator.log"
        self.lives = Lives(
            *(self._settings(), self.records, log, self._seed, self.progress, self._shares),
            full_caches=self._full_caches,
        )
        await self.lives.open()
        self._exits.push_async_callback(self.lives.abandon)
        await self._introduce()

    def _start_services(self) -> None:
        genesis = int(time.time()) - DAYS_TO_SPEND * DAY
        self.stack.start_services(seed=self._seed, oracle=False, genesis_time=genesis)
        node = self.stack.ready()["node"]
        clock = ("--clock-rpc", node["url"], "--clock-rpc-cookie", node["rpc_cookie_file"])
        # Requests to the oracle are signed for the address that the coordinator knows.
        known = ("--remote-url", self.proxy("oracle"))
        data = str(self.directory / "world" / "oracle")
        module = "coordinator.embedded.oracle"
        own = ("--seed", self._seed, "--tick-seconds", "0.5", "--exit-with-parent")
        self.stack.launch("oracle", [module, "--data-dir", data, *own, *clock, *known])

    def _settings(self) -> Path:
        ready = self.stack.ready()
        port = lasting_port(random.Random(f"{self._seed}/port"))
        self.stack.elsewhere["coordinator"] = {"url": f"http://127.0.0.1:{port}"}
        settings = StackSettings(
            data=self.stack.directory / "coordinator",
            rpc=self.proxy("node"),
            cookie=ready["node"]["rpc_cookie_file"],
            esplora=None,
            lightning=self.proxy("lightning"),
            macaroon=ready["lightning"]["macaroon_file"],
            keymeld=self.proxy("keymeld"),
            oracle=self.proxy("oracle"),
            port=port,
        )
        path = self.directory / "coordinator.toml"
        path.write_text(settings.text())
        return path

    def proxy(self, name: str) -> str:
        """The address by which the coordinator, and what it publishes, knows a service."""
        return self._proxies[name].url

    def part(self, name: str, seconds: float) -> None:
        """Take a service away from the coordinator for so long."""
        self._proxies[name].part(seconds)

    def _hear(self, name: str) -> Callable[[Call], Awaitable[None]]:
        async def hear(call: Call) -> None:
            await self.ledger.enter(name, call)

        return hear

    def _tell(self, service: str) -> Callable[[Call], Awaitable[None]]:
        async def tell(call: Call) -> None:
            name = effect_name(service, call)
            if name is not None:
                self.lives.effect(name)

        return tell

    async def _height(self) -> int:
        return int(await self.services.rpc("getblockcount"))

    async def _introduce(self) -> None:
        key = (await self.insist(lambda: self.services.operator("GET", "/identity")))["nostr_public_key"]
        await asyncio.to_thread(self.stack.introduce_to_oracle, key)

    async def insist(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask the coordinator until it answers: it may be dead, or between two lives. Raises Stuck."""
        last = ""
        for _ in range(ASKED):
            if self.lives.gone:
                raise Stuck(f"the coordinator does not start: {self.lives.gone}")
            try:
                return await ask()
            except (httpx.HTTPError, OSError, WorldError, ValueError) as error:
                # A dead coordinator's answer may be cut short, and one without its services refuses.
                last = repr(error)
            await asyncio.sleep(ASK_AGAIN_SECONDS)
        raise Stuck(f"no answer of the coordinator: {last}")

    def end_faults(self) -> None:
        """No fault from now on."""
        for source in self.faults.values():
            source.end()

    async def show(self, name: str) -> dict[str, Any]:
        """A competition as everyone sees it."""

        async def ask() -> dict[str, Any]:
            shown = await self.services.competition(name)
            if "state" not in shown:
                raise ValueError(f"no competition: {shown}")
            return shown

        return await self.insist(ask)

    async def command(self, path: str, body: dict[str, Any], key: str) -> dict[str, Any]:
        """An operator's command, repeated with the same Idempotency-Key until it is answered. Raises WorldError."""

        async def ask() -> dict[str, Any]:
            headers = {"Authorization": f"Bearer {self.stack.operator_token}", "Idempotency-Key": key}
            url = f"{self.stack.url('coordinator')}/api/v1{path}"
            async with httpx.AsyncClient(timeout=COMMAND_SECONDS, trust_env=False) as client:
                answer = await client.post(url, json=body, headers=headers)
            return answer.raise_for_status().json()

        return await self.insist(ask)
