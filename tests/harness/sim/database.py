"""aiosqlite without its threads: a statement is executed when it is asked for, its answer comes a turn later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import aiosqlite.core

Work = tuple[asyncio.Future[Any] | None, Callable[[], Any]]


class _Desk:
    """Stands for the queue to a connection's thread."""

    def put_nowait(self, work: Work) -> None:
        future, function = work
        try:
            result = function()
        except Exception as error:
            if future is not None:
                future.get_loop().call_soon(aiosqlite.core.set_exception, future, error)
        else:
            if future is not None:
                future.get_loop().call_soon(aiosqlite.core.set_result, future, result)


class _NoThread:
    """Stands for a connection's thread."""

    daemon = True

    def __init__(self, *, target: object, args: object) -> None:
        pass

    def start(self) -> None:
        pass


@contextmanager
def databases_in_the_loop() -> Iterator[None]:
    """Every connection that is opened meanwhile has no thread."""
    with ExitStack() as changed:
        changed.enter_context(mock.patch.object(aiosqlite.core, "SimpleQueue", _Desk))
        changed.enter_context(mock.patch.object(aiosqlite.core, "Thread", _NoThread))
        yield
