"""Which request something is done for: one id through HTTP, inbox rows, duties, requests to services, and log lines."""

from __future__ import annotations

import re
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from secrets import token_hex

from structlog.contextvars import bound_contextvars

HEADER = "X-Request-ID"
WELL_FORMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")
"""What is taken over from a caller: it stands in logs and goes to other services, so it cannot be just anything."""

_current: ContextVar[str] = ContextVar("request_id", default="")


def fresh() -> str:
    """A new id."""
    return token_hex(16)


def accepted(given: str) -> str:
    """The caller's id when it is well formed, otherwise a new one."""
    return given if WELL_FORMED.fullmatch(given) else fresh()


def current() -> str:
    """The id of what is being done in this task; empty when nothing began it."""
    return _current.get()


@contextmanager
def carrying(request_id: str) -> Generator[str]:
    """Everything done inside carries `request_id`, or a new one when it is empty: rows, requests, log lines."""
    chosen = request_id or fresh()
    token = _current.set(chosen)
    try:
        with bound_contextvars(request_id=chosen):
            yield chosen
    finally:
        _current.reset(token)
