"""What a loop waits with between two looks."""

from __future__ import annotations

import asyncio

import pytest

from coordinator.engine.wakeups import wait

ENOUGH = 1_000
"""Rounds without a turn for anybody else."""


async def test_an_event_ends_the_wait_and_is_cleared() -> None:
    event = asyncio.Event()
    waiting = asyncio.create_task(wait(event, 3_600))
    await asyncio.sleep(0)
    event.set()
    await waiting
    assert not event.is_set()


async def test_without_an_event_it_ends_after_its_time() -> None:
    event = asyncio.Event()
    await wait(event, 0)
    assert not event.is_set()


@pytest.mark.parametrize("seconds", [0, 3_600])
async def test_a_loop_that_is_always_woken_lets_others_run(seconds: int) -> None:
    """Without a turn for them it could not even be cancelled."""
    event, rounds = asyncio.Event(), 0

    async def woken() -> None:
        nonlocal rounds
        while rounds < ENOUGH:
            rounds += 1
            event.set()
            await wait(event, seconds)

    looping = asyncio.create_task(woken())
    await asyncio.sleep(0)
    looping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await looping
    assert rounds < ENOUGH
