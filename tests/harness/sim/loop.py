"""An event loop on virtual time: when nothing is ready, time jumps to the next timer (harness H-SIM).

Nothing outside of the loop's own thread takes part: work for executors is done in the loop, databases too (see
database.py), and a socket is refused. So nothing can be outstanding when time jumps, and a seed gives the same run.
"""

from __future__ import annotations

import asyncio
import random
import selectors
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final, TypeVar

T = TypeVar("T")

BEGINNING: Final = 1_000.0
MAX_TURNS: Final = 20_000
"""Turns of the loop at one instant, after which something turns in a circle."""


class Standstill(Exception):
    """Nothing will ever happen again, or nothing ever ends: the simulation cannot go on."""


class _Selector(selectors.BaseSelector):
    """Lets time jump where a real selector would wait."""

    def __init__(self, jump: Callable[[float | None], None]) -> None:
        self._real = selectors.DefaultSelector()
        self._jump = jump

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        if self.get_map():
            raise AssertionError("a socket in a simulation: time would jump over what it waits for")
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._real.unregister(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = self._real.select(0)
        if not found:
            self._jump(timeout)
        return found

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


class VirtualLoop(asyncio.SelectorEventLoop):
    """`order` given: tasks that are ready at the same instant run in an order drawn from it."""

    def __init__(self, order: random.Random | None = None) -> None:
        self._now = BEGINNING
        self._turns = 0
        self._order = order
        self._owner = threading.get_ident()
        self._given_up = False
        self.jumps = 0
        super().__init__(_Selector(self._jump))

    def time(self) -> float:
        """Virtual seconds; see asyncio."""
        return self._now

    def sleep_through(self, seconds: float) -> None:
        """The machine sleeps: time goes on, and nothing runs."""
        self._now += seconds

    def give_up(self) -> None:
        """Let what is left be cancelled, however it stands."""
        self._given_up = True
        self._turns = 0

    def _jump(self, timeout: float | None) -> None:
        if timeout is None and not self._given_up:
            raise Standstill("nothing is ready and no timer is set")
        if timeout:
            self._now += timeout
            self._turns = 0
            self.jumps += 1
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise Standstill(f"{MAX_TURNS} turns without a moment passing")
        if self._order is not None:
            self._shuffle(self._order)

    def _shuffle(self, order: random.Random) -> None:
        """Steps of different tasks change places; everything else keeps its own, since asyncio promises its order."""
        ready: Any = self._ready  # type: ignore[attr-defined]
        places = [place for place, handle in enumerate(ready) if _steps_a_task(handle)]
        if len(places) > 1:
            handles = [ready[place] for place in places]
            order.shuffle(handles)
            for place, handle in zip(places, handles, strict=True):
                ready[place] = handle

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """At once in this thread, in a turn of its own."""
        future: asyncio.Future[T] = self.create_future()

        def work() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except Exception as error:
                future.set_exception(error)

        self.call_soon(work)
        return future

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, context: Any = None) -> asyncio.Handle:
        """For this thread alone. Raises AssertionError in any other: time may have jumped over its work."""
        if threading.get_ident() != self._owner:
            raise AssertionError("another thread in a simulation: time does not wait for it")
        return self.call_soon(callback, *args, context=context)


def _steps_a_task(handle: Any) -> bool:
    return isinstance(getattr(handle._callback, "__self__", None), asyncio.Task)


def run(main: Coroutine[Any, Any, T], loop: VirtualLoop) -> T:
    """Run a coroutine to its end on a virtual loop, and close the loop. Raises Standstill: what everyone waits for."""
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        try:
            return runner.run(main)
        except Standstill as error:
            loop.give_up()
            raise Standstill(f"{error}: {_waiting(loop)}") from None


def _waiting(loop: VirtualLoop) -> str:
    return "; ".join(sorted(f"{task.get_name()} at {_place(task)}" for task in asyncio.all_tasks(loop)))


def _place(task: asyncio.Task[Any]) -> str:
    stack = task.get_stack(limit=1)
    return f"{stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else "its end"
