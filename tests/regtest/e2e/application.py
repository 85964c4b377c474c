"""TestApp on real bitcoind and LND."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from coordinator.cli.embedded import Stack
from coordinator.engine.executors.contracts import FEE_TARGET_BLOCKS
from coordinator.player.play import Player
from tests.e2e.application import TestApp
from tests.e2e.mock_oracle import MockOracle
from tests.e2e.waiting import wait_for
from tests.regtest.e2e.chain import RealChain
from tests.regtest.e2e.lightning_books import payments
from tests.regtest.e2e.services import COORDINATOR, SAT_PER_VBYTE, RealServices, start_stack
from tools.regtest import Rig
from tools.regtest.lnd import Lnd

BAKE_SECONDS: Final = 60
LESSONS: Final = 5


class RealApp(TestApp):
    """TestApp whose services are real."""

    services: RealServices
    chain: RealChain

    def __init__(self, services: RealServices, oracle: MockOracle, chain: RealChain) -> None:
        super().__init__(services, oracle, chain)
        self.services = services
        self.chain = chain

    @property
    def rig(self) -> Rig:
        """The daemons."""
        return self.services.rig

    @property
    def coordinator_node(self) -> Lnd:
        """The coordinator's Lightning node."""
        return self.rig[COORDINATOR]

    async def payment(self, player: Player, status: str) -> dict[str, Any]:
        """The payment of a player's ticket in its own node, once it has a status: the payer hears last."""

        async def there() -> dict[str, Any] | None:
            found = (await self.services.blocking(payments, self.services.node_of(player)))[player.ticket_hash]
            return found if found["status"] == status else None

        return await wait_for(there, f"a payment {status}")


@asynccontextmanager
async def application(rig: Rig, directory: Path) -> AsyncGenerator[RealApp]:
    """A coordinator, an oracle and keymeld of their own on a rig; `directory` is made. The wallet holds coins.

    Holds that it leaves open are canceled at the end, so that the rig's channels serve the next one.
    """
    async with AsyncExitStack() as stack:
        services = await _services(rig, directory, stack)
        chain = RealChain(services)
        await chain.refresh()
        oracle = await stack.enter_async_context(MockOracle("regtest", now=lambda: chain.time))
        await asyncio.to_thread(bake_macaroon, services.stack, oracle.url, rig[COORDINATOR])
        app = RealApp(services, oracle, chain)
        stack.push_async_callback(asyncio.to_thread, _cancel_holds, rig)
        await app.start_coordinator()
        await app.fund_operator()
        try:
            yield app
        finally:
            await app.close()


async def _services(rig: Rig, directory: Path, stack: AsyncExitStack) -> RealServices:
    started = await asyncio.to_thread(start_stack, rig, directory)
    stack.push_async_callback(asyncio.to_thread, started.stop)
    services = RealServices(started, rig)
    stack.push_async_callback(services.close)
    await ensure_estimate(services)
    return services


async def ensure_estimate(services: RealServices, *, anew_after: int | None = None) -> None:
    """Let bitcoind estimate fees, without which no ticket is sold. Blocks without transactions let it forget.

    It is taught again as well when more than `anew_after` blocks went by since: a fading estimate may be gone a block
    later.
    """
    height = await services.blocking(_height, services.rig)
    fresh = anew_after is None or height - services.taught_at <= anew_after
    if fresh and await _estimates(services):
        return
    for _ in range(LESSONS):
        await services.blocking(services.rig.teach_fees, SAT_PER_VBYTE)
        if await _estimates(services):
            services.taught_at = await services.blocking(_height, services.rig)
            return
    raise AssertionError(f"bitcoind estimates no fee after {LESSONS} lessons")


def _height(rig: Rig) -> int:
    return rig.chain.height


async def _estimates(services: RealServices) -> bool:
    return "feerate" in await services.rpc("estimatesmartfee", FEE_TARGET_BLOCKS)


def bake_macaroon(stack: Stack, oracle: str, node: Lnd) -> None:
    """As an operator would: the coordinator gets the rights that it needs and no other."""
    settings = stack.write_settings(oracle)
    subprocess.run(
        [
            *(sys.executable, "-m", "coordinator.cli.main", "lightning", "bake-macaroon"),
            *("--settings", str(settings), "--admin-macaroon", str(node.admin_macaroon)),
        ],
        check=True,
        capture_output=True,
        timeout=BAKE_SECONDS,
        env=os.environ.copy(),
    )


def _cancel_holds(rig: Rig) -> None:
    node = rig[COORDINATOR]
    if not node.is_running:
        return
    for one in node.get("/v1/invoices", pending_only="true", num_max_invoices=1_000)["invoices"]:
        if one["state"] == "ACCEPTED":
            node.post("/v2/invoices/cancel", {"payment_hash": one["r_hash"]})
