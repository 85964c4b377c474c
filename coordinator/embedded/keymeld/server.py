"""The process: two loopback listeners, the ready line, a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from litestar import Litestar

from coordinator.embedded.keymeld.gateway.gateway import Gateway
from coordinator.embedded.keymeld.http.app import control_app, gateway_app

_LOOPBACK = "127.0.0.1"
_PARENT_POLL_SECONDS = 0.5


class _Listener(uvicorn.Server):
    """A uvicorn server that leaves signals to the process, since there are two of them, and tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    directory: Path, *, port: int, enclaves: int, allowed_origins: Sequence[str], exit_with_parent: bool
) -> None:
    """Serve until SIGTERM or SIGINT (or until the parent is gone); the state is closed before this returns."""
    parent = os.getppid()
    gateway = await asyncio.to_thread(Gateway, directory, enclaves)
    try:
        sockets = [_bind(port), _bind(0)]
        apps = [gateway_app(gateway, allowed_origins=allowed_origins), control_app(gateway)]
        listeners = [_listener(app) for app in apps]
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        tasks = [
            asyncio.create_task(listener.serve([bound])) for listener, bound in zip(listeners, sockets, strict=True)
        ]
        await asyncio.gather(*(listener.listening.wait() for listener in listeners))
        _print_ready(gateway, sockets)
        await _wait(stop, parent if exit_with_parent else None)
        for listener in listeners:
            listener.should_exit = True
        await asyncio.gather(*tasks)
    finally:
        await asyncio.to_thread(gateway.close)


def _listener(app: Litestar) -> _Listener:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    return _Listener(config)


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((_LOOPBACK, port))
    return bound


def _url(bound: socket.socket) -> str:
    return f"http://{_LOOPBACK}:{bound.getsockname()[1]}"


def _print_ready(gateway: Gateway, sockets: Sequence[socket.socket]) -> None:
    ready = {
        "service": "keymeld",
        "url": _url(sockets[0]),
        "control": _url(sockets[1]),
        "enclaves": len(gateway.services.fleet.enclaves),
        "attested": False,
    }
    print(json.dumps(ready), flush=True)


async def _wait(stop: asyncio.Event, parent: int | None) -> None:
    """Until `stop` is set, or this process was given another parent."""
    while parent is None or os.getppid() == parent:
        try:
            await asyncio.wait_for(stop.wait(), None if parent is None else _PARENT_POLL_SECONDS)
        except TimeoutError:
            continue
        return
