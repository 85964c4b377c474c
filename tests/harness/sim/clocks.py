"""The machine's clocks and randomness, replaced for as long as a simulation runs in this thread.

Whoever asks `time` gets virtual time, and so do the functions of the product that have one of its clocks as a default.
"""

from __future__ import annotations

import inspect
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, Final
from unittest import mock

from tests.harness.sim.loop import BEGINNING

FIRST_INSTANT: Final = 1_767_225_600.0
"""Wall clock at the beginning: the validation engine of the node knows the real time, so this lies in the past."""
PRODUCT: Final = ("coordinator", "coordinator_core")

_machine_time, _machine_monotonic = time.time, time.monotonic
_running: list[tuple[int, Callable[[], float]]] = []


def _virtual() -> float | None:
    """Virtual seconds when a simulation runs in this thread."""
    if _running and _running[-1][0] == threading.get_ident():
        return _running[-1][1]()
    return None


def wall_clock() -> float:
    """Stands for time.time."""
    now = _virtual()
    return _machine_time() if now is None else FIRST_INSTANT + now - BEGINNING


def steady_clock() -> float:
    """Stands for time.monotonic."""
    now = _virtual()
    return _machine_monotonic() if now is None else now


_CLOCKS: Final = {_machine_time: wall_clock, _machine_monotonic: steady_clock}


@contextmanager
def virtual_time(now: Callable[[], float]) -> Iterator[None]:
    """Everything in this thread lives by `now` (virtual seconds)."""
    with ExitStack() as changed:
        changed.enter_context(mock.patch.object(time, "time", wall_clock))
        changed.enter_context(mock.patch.object(time, "monotonic", steady_clock))
        for module in _product_modules():
            _redirect(module, changed)
        _running.append((threading.get_ident(), now))
        changed.callback(_running.pop)
        yield


def _product_modules() -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in PRODUCT]


def _redirect(module: ModuleType, changed: ExitStack) -> None:
    for name, value in list(vars(module).items()):
        if _clock(value) is not None:
            changed.enter_context(mock.patch.object(module, name, _clock(value)))
        elif inspect.isclass(value) and value.__module__ == module.__name__:
            for member in vars(value).values():
                _redirect_defaults(member, changed)
        else:
            _redirect_defaults(value, changed)


def _redirect_defaults(member: Any, changed: ExitStack) -> None:
    function = inspect.unwrap(getattr(member, "__func__", member)) if callable(member) else member
    if not inspect.isfunction(function):
        return
    if any(_clock(value) for value in function.__defaults__ or ()):
        replaced = tuple(_clock(value) or value for value in function.__defaults__ or ())
        changed.enter_context(mock.patch.object(function, "__defaults__", replaced))
    named = function.__kwdefaults__ or {}
    if any(_clock(value) for value in named.values()):
        replaced_names = {name: _clock(value) or value for name, value in named.items()}
        changed.enter_context(mock.patch.object(function, "__kwdefaults__", replaced_names))


def _clock(value: Any) -> Callable[[], float] | None:
    return next((ours for machine, ours in _CLOCKS.items() if value is machine), None)


@contextmanager
def seeded_randomness(seed: str) -> Iterator[None]:
    """Ids, nonces, jitter and keys made in Python follow from a seed in this thread. For regtest only."""
    source, state, here = random.Random(f"{seed}/os"), random.getstate(), threading.get_ident()
    system = os.urandom

    def urandom(size: int) -> bytes:
        return source.randbytes(size) if threading.get_ident() == here else system(size)

    with mock.patch.object(os, "urandom", urandom), mock.patch.object(random, "_urandom", urandom):
        random.seed(f"{seed}/jitter")
        try:
            yield
        finally:
            random.setstate(state)
