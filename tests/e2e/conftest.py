"""One stack of services for all scenarios of a test process; a scenario that failed gets its successor a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.application import TestApp
from tests.e2e.chain import ChainControl
from tests.e2e.mock_oracle import MockOracle
from tests.e2e.services import Services, start_stack


class Rig:
    """Starts the services when they are first wanted, and again after `spoil`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._generation = 0
        self._stack = AsyncExitStack()
        self._app: TestApp | None = None

    async def app(self) -> TestApp:
        """The running application."""
        if self._app is None:
            self._generation += 1
            self._app = await self._start(self._directory / str(self._generation))
        return self._app

    async def _start(self, directory: Path) -> TestApp:
        stack = await asyncio.to_thread(start_stack, directory)
        self._stack.push_async_callback(asyncio.to_thread, stack.stop)
        services = Services(stack)
        self._stack.push_async_callback(services.close)
        chain = ChainControl(services)
        await chain.refresh()
        oracle = await self._stack.enter_async_context(MockOracle("e2e", now=lambda: chain.time))
        app = TestApp(services, oracle, chain)
        await app.start_coordinator()
        await app.fund_operator()
        return app

    async def spoil(self) -> None:
        """Stop everything."""
        self._app = None
        await self._stack.aclose()
        self._stack = AsyncExitStack()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def rig(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Rig]:
    made = Rig(tmp_path_factory.mktemp("e2e"))
    yield made
    await made.spoil()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest_asyncio.fixture(loop_scope="session")
async def app(rig: Rig, request: pytest.FixtureRequest) -> AsyncIterator[TestApp]:
    """The application; players' connections are closed after each test."""
    made = await rig.app()
    yield made
    await made.close()
    made.oracle.away = False
    if request.node.stash.get(FAILED, False):
        await rig.spoil()
