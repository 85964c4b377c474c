"""A start that takes too long ends with one sentence; what it had opened is closed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest

from coordinator.cli import serving
from coordinator.cli.serving import EXIT_DRAINED, StartTimeout, serve
from coordinator.cli.stopping import SIGNALS, Stop
from coordinator_core.errors import InvalidInput


class Slow:
    """Services that never answer."""

    def __init__(self) -> None:
        self.begun, self.closed = asyncio.Event(), False

    async def build(self, settings: Any, passphrase: Any, stack: AsyncExitStack, **_: Any) -> Any:
        stack.callback(self._close)
        self.begun.set()
        await asyncio.Event().wait()

    def _close(self) -> None:
        self.closed = True


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    made = Slow()
    monkeypatch.setattr(serving, "build", made.build)
    return made


async def test_a_start_that_takes_too_long_is_given_up(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "START_SECONDS", 0.01)
    nothing: Any = None
    async with asyncio.timeout(10):
        with pytest.raises(StartTimeout, match="look at the log") as caught:
            await serve(nothing, nothing, ready_line=False)
    assert "\n" not in str(caught.value)
    assert slow.closed


async def test_told_to_stop_while_it_starts_it_ends_with_0(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: list[Any] = []
    monkeypatch.setattr(Stop, "_heard", lambda stop, _: stop.ask())
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "add_signal_handler", lambda *given: handlers.append(given))
    monkeypatch.setattr(loop, "remove_signal_handler", lambda number: True)
    nothing: Any = None
    ended = asyncio.create_task(serve(nothing, nothing, ready_line=False))
    await slow.begun.wait()
    assert [number for number, *_ in handlers] == list(SIGNALS)
    _, handler, *arguments = handlers[0]
    handler(*arguments)
    async with asyncio.timeout(10):
        assert await ended == EXIT_DRAINED
    assert slow.closed


async def test_a_server_that_could_not_listen_is_one_sentence() -> None:
    async def refused() -> None:
        raise RuntimeError("Address already in use (os error 98)\n\nStack backtrace:\n   0: <unknown>")

    task = asyncio.create_task(refused())
    await asyncio.wait({task})
    web: Any = type("Web", (), {"host": "127.0.0.1", "port": 8080})
    with pytest.raises(InvalidInput) as caught:
        serving._raise_unserved(web, task)
    assert "backtrace" not in str(caught.value)
    assert "already in use" in str(caught.value)
