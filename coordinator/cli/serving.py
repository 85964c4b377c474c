"""One coordinator on one socket, until it is told to stop."""

from __future__ import annotations

import asyncio
import json
import signal
from contextlib import AsyncExitStack

from granian.constants import Interfaces
from granian.server.embed import Server

from coordinator.app import build
from coordinator.cli.parent import end_with_parent
from coordinator.config.settings import Settings
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator_core.secret import Secret

LISTEN_POLL_SECONDS = 0.05


async def serve(
    settings: Settings,
    passphrase: Secret,
    *,
    ready_line: bool,
    parent: int | None = None,
    observer: EngineObserver = UNOBSERVED,
) -> None:
    """Serve until SIGTERM or SIGINT: stop accepting, let requests end, stop the loops, close the database.

    The end of the process `parent` counts as SIGTERM.
    """
    async with AsyncExitStack() as stack:
        made = await build(settings, passphrase, stack, observer=observer)
        server = Server(
            made.application,
            address=settings.web.host,
            port=settings.web.port,
            interface=Interfaces.ASGI,
            log_enabled=False,
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.stop)
        serving = asyncio.create_task(server.serve())
        if parent is not None:
            stack.callback(asyncio.create_task(end_with_parent(server.stop, parent)).cancel)
        if ready_line:
            await _until_listening(settings.web.host, settings.web.port, serving)
            url = f"http://{settings.web.host}:{settings.web.port}"
            print(json.dumps({"service": "coordinator", "url": url}), flush=True)
        await serving


async def _until_listening(host: str, port: int, serving: asyncio.Task[None]) -> None:
    """Granian tells nobody when it listens; a connection does."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(LISTEN_POLL_SECONDS)
        else:
            writer.close()
            return
