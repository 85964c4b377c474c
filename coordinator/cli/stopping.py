"""Being told to stop: a signal asks, the same signal again ends the process at once, whatever it does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import structlog

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

T = TypeVar("T")

log = structlog.get_logger()


class Stop:
    """Asked for once, for ever."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()

    def ask(self) -> None:
        """Stop, please."""
        if not self._asked.is_set():
            log.info("stopping")
        self._asked.set()

    def _heard(self, number: signal.Signals) -> None:
        """From now on this signal does what it does by default: the kernel ends us, event loop or not. The other one
        still asks: Ctrl-C in a terminal is followed by a SIGTERM of whoever started us there.
        """
        self.ask()
        asyncio.get_running_loop().remove_signal_handler(number)
        signal.signal(number, signal.SIG_DFL)

    async def asked(self) -> None:
        """Waits until somebody asked."""
        await self._asked.wait()

    @contextmanager
    def by_signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT ask. Needs a running event loop in the main thread."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            loop.add_signal_handler(number, self._heard, number)
        try:
            yield
        finally:
            for number in SIGNALS:
                loop.remove_signal_handler(number)

    async def unless_asked(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What `work` gives; None, and it is cancelled, when somebody asks before it is done."""
        task, asked = asyncio.create_task(work), asyncio.create_task(self.asked())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for one in (task, asked):
                one.cancel()
            await asyncio.gather(task, asked, return_exceptions=True)
