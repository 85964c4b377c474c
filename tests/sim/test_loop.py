"""Virtual time: it jumps only when nothing can happen, in an order that a seed decides."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import threading
import time
import uuid

import pytest

from coordinator.adapters.clock import SystemClock
from coordinator.embedded.node.clock import NodeClock
from tests.harness.sim import clocks
from tests.harness.sim.loop import BEGINNING, Standstill, VirtualLoop, run

DAY = 86_400


def test_a_day_passes_at_once() -> None:
    async def sleep() -> float:
        await asyncio.sleep(DAY)
        return asyncio.get_running_loop().time()

    assert run(sleep(), VirtualLoop()) == pytest.approx(BEGINNING + DAY)


def test_timers_fire_in_their_order_at_their_times() -> None:
    seen: list[tuple[float, str]] = []

    async def note(name: str, after: float) -> None:
        await asyncio.sleep(after)
        seen.append((asyncio.get_running_loop().time() - BEGINNING, name))

    async def all_of_them() -> None:
        await asyncio.gather(note("late", 60.0), note("soon", 0.25), note("middle", 5.0))

    run(all_of_them(), VirtualLoop())
    assert seen == [(0.25, "soon"), (5.0, "middle"), (60.0, "late")]


def test_time_stands_still_while_something_is_ready() -> None:
    async def turns() -> float:
        waiting = asyncio.create_task(asyncio.sleep(1.0))
        for _ in range(100):
            await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        await waiting
        return now

    assert run(turns(), VirtualLoop()) == BEGINNING


def test_a_thread_is_not_outstanding_because_there_is_none() -> None:
    threads: list[int] = []

    async def work() -> float:
        timer = asyncio.create_task(asyncio.sleep(10.0))
        await asyncio.to_thread(lambda: threads.append(threading.get_ident()))
        now = asyncio.get_running_loop().time()
        timer.cancel()
        return now

    assert run(work(), VirtualLoop()) == BEGINNING
    assert threads == [threading.get_ident()]


def test_what_an_executor_raises_comes_back() -> None:
    def fail() -> None:
        raise ValueError("as it should be")

    async def work() -> None:
        await asyncio.to_thread(fail)

    with pytest.raises(ValueError, match="as it should be"):
        run(work(), VirtualLoop())


def test_another_thread_may_not_call() -> None:
    raised: list[BaseException] = []

    def call(loop: asyncio.AbstractEventLoop) -> None:
        try:
            loop.call_soon_threadsafe(lambda: None)
        except AssertionError as error:
            raised.append(error)

    async def start() -> None:
        thread = threading.Thread(target=call, args=(asyncio.get_running_loop(),))
        thread.start()
        thread.join()

    run(start(), VirtualLoop())
    assert len(raised) == 1


def test_a_socket_is_refused() -> None:
    async def wait() -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            await asyncio.get_running_loop().sock_recv(ours, 1)

    with pytest.raises(AssertionError, match="socket"):
        run(wait(), VirtualLoop())


def test_nothing_to_wait_for_is_told() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Standstill, match="no timer is set"):
        run(forever(), VirtualLoop())


def test_turning_in_a_circle_is_told() -> None:
    async def spin() -> None:
        while True:  # noqa: ASYNC110  (what is tested)
            await asyncio.sleep(0)

    with pytest.raises(Standstill, match="without a moment passing"):
        run(spin(), VirtualLoop())


def _order(seed: str | None) -> list[int]:
    seen: list[int] = []

    async def step(number: int) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
            seen.append(number)

    async def start() -> None:
        await asyncio.gather(*(step(number) for number in range(6)))

    run(start(), VirtualLoop(None if seed is None else random.Random(seed)))
    return seen


def test_a_seed_decides_who_comes_first() -> None:
    assert _order(None) == [*range(6)] * 3
    assert _order("a") == _order("a")
    assert len({tuple(_order(seed)) for seed in "abcdefgh"}) > 4


def test_callbacks_keep_their_order() -> None:
    seen: list[int] = []

    async def start() -> None:
        for number in range(50):
            asyncio.get_running_loop().call_soon(seen.append, number)
        await asyncio.gather(*(asyncio.sleep(0) for _ in range(5)))

    run(start(), VirtualLoop(random.Random("order")))
    assert seen == [*range(50)]


def test_the_machines_clocks_follow_and_come_back() -> None:
    loop = VirtualLoop()

    async def read() -> tuple[float, float, int, int]:
        await asyncio.sleep(DAY)
        return time.time(), time.monotonic(), SystemClock().now(), NodeClock().now()

    before = time.time()
    with clocks.virtual_time(loop.time):
        wall, steady, system, node = run(read(), loop)
    assert wall == pytest.approx(clocks.FIRST_INSTANT + DAY)
    assert steady == pytest.approx(BEGINNING + DAY)
    # A default of a function is a reference of its own, taken when its module was imported.
    assert system == node == int(wall)
    assert time.time() - before < DAY
    assert abs(NodeClock().now() - time.time()) < DAY


def test_other_threads_keep_the_real_clock() -> None:
    seen: list[float] = []
    with clocks.virtual_time(lambda: BEGINNING):
        thread = threading.Thread(target=lambda: seen.append(time.time()))
        thread.start()
        thread.join()
        assert time.time() == clocks.FIRST_INSTANT
    assert abs(seen[0] - time.time()) < DAY


def test_ids_follow_from_the_seed() -> None:
    def draw() -> tuple[bytes, uuid.UUID, float]:
        with clocks.seeded_randomness("seed"):
            return os.urandom(8), uuid.uuid4(), random.random()

    assert draw() == draw()
    assert os.urandom(8) != os.urandom(8)
