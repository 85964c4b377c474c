"""The engine's clocks: the cursor is asked for once, and what the chain loop says of it counts."""

from __future__ import annotations

import asyncio

from coordinator.engine.clockwork import Clockwork
from coordinator.ports.following import BlockHeader
from coordinator_core.units import Height, UnixTime
from tests.support.ports import Clock


def cursor(height: int) -> BlockHeader:
    return BlockHeader(Height(height), str(height), UnixTime(height), UnixTime(height))


async def test_a_cursor_that_moves_while_the_database_is_asked_is_not_put_back() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    class Slow:
        async def tip(self) -> BlockHeader:
            asked.set()
            await answer.wait()
            return cursor(1)

    clockwork = Clockwork(Clock(), Slow(), chain_time=True)  # type: ignore[arg-type]
    first = asyncio.create_task(clockwork.tip())
    await asked.wait()
    clockwork.moved(cursor(2))
    answer.set()
    assert await first == await clockwork.tip() == cursor(2)
