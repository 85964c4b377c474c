"""One coordinator on the rig of real daemons for all scenarios; one that failed gets its successor a new one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.regtest.e2e.application import RealApp, application, ensure_estimate
from tools.regtest import Rig

FAILED = pytest.StashKey[bool]()
ESTIMATE_LASTS = 30
"""Blocks for which a fee estimate is relied on: scenarios sell their tickets in fewer."""


class Bench:
    """Starts the application when it is first wanted, and again after `spoil`."""

    def __init__(self, rig: Rig, directory: Path) -> None:
        self._rig = rig
        self._directory = directory
        self._generation = 0
        self._stack = AsyncExitStack()
        self._app: RealApp | None = None

    async def app(self) -> RealApp:
        """The running application."""
        if self._app is None:
            self._generation += 1
            directory = self._directory / str(self._generation)
            self._app = await self._stack.enter_async_context(application(self._rig, directory))
        await ensure_estimate(self._app.services, anew_after=ESTIMATE_LASTS)
        await self._app.wait_for_tip()
        return self._app

    async def spoil(self) -> None:
        """Stop everything but the rig."""
        self._app = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def bench(real_rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    made = Bench(real_rig, tmp_path_factory.mktemp("regtest"))
    yield made
    await made.spoil()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest_asyncio.fixture(loop_scope="session")
async def app(bench: Bench, request: pytest.FixtureRequest) -> AsyncIterator[RealApp]:
    """The application; players' connections are closed after each test."""
    made = await bench.app()
    yield made
    await made.close()
    made.oracle.away = False
    if request.node.stash.get(FAILED, False):
        await bench.spoil()
