"""A rig of their own for scenarios that end daemons and rewrite the chain; after a failure there is a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.regtest.e2e.application import RealApp, application, ensure_estimate
from tools.daemons.locate import Daemons
from tools.regtest import Rig


class DisturbedBench:
    """Starts daemons and application when they are first wanted, and all of them again after `spoil`."""

    def __init__(self, daemons: Daemons, directory: Path) -> None:
        self._daemons = daemons
        self._directory = directory
        self._generation = 0
        self._stack = AsyncExitStack()
        self._app: RealApp | None = None

    async def app(self) -> RealApp:
        """The running application on a rig that nobody else uses."""
        if self._app is None:
            self._generation += 1
            self._app = await self._start(self._directory / str(self._generation))
        await ensure_estimate(self._app.services)
        await self._app.wait_for_tip()
        return self._app

    async def _start(self, directory: Path) -> RealApp:
        rig = Rig(self._daemons, directory / "daemons")
        await asyncio.to_thread(rig.__enter__)
        self._stack.push_async_callback(asyncio.to_thread, rig.close)
        return await self._stack.enter_async_context(application(rig, directory / "application"))

    async def spoil(self) -> None:
        """Stop everything."""
        self._app = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()

    def last_words(self) -> list[tuple[str, str]]:
        """The end of each daemon's log, with its name."""
        if self._app is None:
            return []
        rig = self._app.rig
        return [(f"log of {daemon.name}", daemon.tail()) for daemon in (rig.chain, *rig.nodes.values())]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(real_daemons: Daemons, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DisturbedBench]:
    made = DisturbedBench(real_daemons, tmp_path_factory.mktemp("failures"))
    yield made
    await made.spoil()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    bench = getattr(item, "funcargs", {}).get("bench")
    if report.failed and isinstance(bench, DisturbedBench):
        report.sections.extend(bench.last_words())
    return report
