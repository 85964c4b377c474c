"""The oracle as a process: socket, ready line, background work, clean end."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import uvicorn
from msgspec import Struct

from coordinator.embedded.oracle.application import build_application
from coordinator.embedded.oracle.authorization import Authorizer, Role
from coordinator.embedded.oracle.climate import Climate
from coordinator.embedded.oracle.clock import Clock, ClockUnavailable, NodeTime
from coordinator.embedded.oracle.faults import Faults
from coordinator.embedded.oracle.key import OracleKey
from coordinator.embedded.oracle.routes import Served
from coordinator.embedded.oracle.service import Oracle
from coordinator.embedded.oracle.store import Store
from coordinator.embedded.oracle.weather import Weather

_PR_SET_PDEATHSIG = 1
_log = logging.getLogger(__name__)


class Settings(Struct, frozen=True):
    """How the process was started."""

    data_dir: Path
    port: int
    seed: str
    tick_seconds: float
    remote_url: str | None
    coordinators: tuple[bytes, ...]
    uploaders: tuple[bytes, ...]
    node_time: NodeTime | None


class MainnetRefused(Exception):
    """The node whose time is followed is on mainnet."""


async def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Raises KeyFileError, MainnetRefused, OSError."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(settings.data_dir / "oracle.sqlite3")
    try:
        with listen(settings.port) as listener:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            served = _assemble(settings, store, url)
            await _serve(settings, served, listener, url)
    finally:
        store.close()


def listen(port: int) -> socket.socket:
    """A listening socket on the loopback; port 0 picks a free one. Raises OSError."""
    # asyncio turns Nagle's delay off only where the protocol is named; left at 0, each answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent dies; elsewhere watch the parent's id on a timer."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        return
    parent = os.getppid()

    def watch(_signal: int, _frame: object) -> None:
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGALRM, watch)
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)


def _assemble(settings: Settings, store: Store, url: str) -> Served:
    key = OracleKey.load_or_create(settings.data_dir / "oracle_key.pem")
    weather = Weather(Climate(settings.seed), store)
    oracle = Oracle(store, key, weather, Clock())
    allowed = {
        Role.COORDINATOR: _stored_keys(store, Role.COORDINATOR) | set(settings.coordinators),
        Role.UPLOADER: _stored_keys(store, Role.UPLOADER) | set(settings.uploaders),
    }
    return Served(oracle, Authorizer(settings.remote_url or url, allowed), Faults())


def _stored_keys(store: Store, role: Role) -> set[bytes]:
    stored = store.setting(f"allowed.{role}") or b""
    return {stored[start : start + 32] for start in range(0, len(stored), 32)}


class _Server(uvicorn.Server):
    """Calls back once it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


async def _serve(settings: Settings, served: Served, listener: socket.socket, url: str) -> None:
    if settings.node_time is not None:
        await _follow(settings.node_time, served.oracle.clock)
    # uvicorn raises a caught signal again after its own shutdown; unhandled, that would end the process.
    for caught in (signal.SIGTERM, signal.SIGINT):
        signal.signal(caught, lambda *_: None)
    application = build_application(served)
    config = uvicorn.Config(application, log_config=None, access_log=False, timeout_graceful_shutdown=3)
    server = _Server(config, lambda: _announce(served, url))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    working = asyncio.create_task(_work(settings, served.oracle))
    try:
        await asyncio.wait({serving, working}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        server.should_exit = True
        await serving
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


def _announce(served: Served, url: str) -> None:
    ready = {
        "service": "oracle",
        "url": url,
        "public_key": served.oracle.key.public_key.hex(),
        "control": f"{url}/control",
    }
    sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
    sys.stdout.flush()


async def _work(settings: Settings, oracle: Oracle) -> None:
    answered = True
    while True:
        if settings.node_time is not None:
            try:
                await _follow(settings.node_time, oracle.clock)
                answered = True
            except ClockUnavailable as error:
                if answered:
                    _log.warning("time stands still: %s", error)
                answered = False
        oracle.settle()
        await asyncio.sleep(settings.tick_seconds)


async def _follow(node: NodeTime, clock: Clock) -> None:
    found = await node.read()
    if found.chain == "main":
        raise MainnetRefused("the node is on mainnet")
    clock.set(found.time)
