"""Being told to stop, before there is anything to stop and after."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from coordinator.cli.stopping import SIGNALS, Stop


async def test_work_that_is_done_first_gives_its_result() -> None:
    async def work() -> int:
        return 7

    assert await Stop().unless_asked(work()) == 7


async def test_work_that_raises_raises() -> None:
    async def work() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Stop().unless_asked(work())


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_ends_work_and_the_next_one_would_end_the_process(number: signal.Signals) -> None:
    stop, before, cancelled = Stop(), {s: signal.getsignal(s) for s in SIGNALS}, False

    async def work() -> None:
        nonlocal cancelled
        os.kill(os.getpid(), number)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled = True
            raise

    try:
        with stop.by_signals():
            async with asyncio.timeout(10):
                assert await stop.unless_asked(work()) is None
                await stop.asked()
            assert signal.getsignal(number) is signal.SIG_DFL
            other = next(one for one in SIGNALS if one is not number)
            assert signal.getsignal(other) is not signal.SIG_DFL
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert cancelled


async def test_the_other_signal_asks_once_more_and_ends_nothing() -> None:
    stop, before = Stop(), {s: signal.getsignal(s) for s in SIGNALS}
    heard: list[signal.Signals] = []
    try:
        with stop.by_signals():
            for number in SIGNALS:
                os.kill(os.getpid(), number)
                async with asyncio.timeout(10):
                    while signal.getsignal(number) is not signal.SIG_DFL:  # noqa: ASYNC110  (nothing tells)
                        await asyncio.sleep(0)
                heard.append(number)
            async with asyncio.timeout(10):
                await stop.asked()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
    assert heard == list(SIGNALS)
