"""One coordinator on one socket: its start, and its end in order (spec of the engine, section 3.9)."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Final

import structlog
from granian.constants import Interfaces
from granian.server.embed import Server

from coordinator.app import Coordinator, build
from coordinator.cli.parent import end_with_parent
from coordinator.cli.stopping import Stop
from coordinator.config.settings import Settings, WebSettings
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator_core.errors import Fault, InvalidInput, Refused
from coordinator_core.secret import Secret

START_SECONDS: Final = 60.0
REQUESTS_SECONDS: Final = 5.0
"""For requests that are inside when we are told to stop."""
STOP_SECONDS: Final = 12.0
"""For everything up to the end of the engine. Whoever told us waits 15 s, and socket and database have to be closed."""
SERVER_SECONDS: Final = 2.0
LISTEN_POLL_SECONDS: Final = 0.05
EXIT_DRAINED: Final = 0
EXIT_ESCALATED: Final = 70
"""A loop that money hangs on, or the web server, cannot be kept alive: begin again with clean memory."""
EXIT_CUT_OFF: Final = 75
"""Stopped as told, but something was under way; the next start asks outside what became of it."""

log = structlog.get_logger()


class StartTimeout(Refused):
    """The coordinator was not ready within a minute: a service takes its time."""

    code = "coordinator.start_timeout"


async def serve(
    settings: Settings,
    passphrase: Secret,
    *,
    ready_line: bool,
    parent: int | None = None,
    observer: EngineObserver = UNOBSERVED,
) -> int:
    """Serve until SIGTERM, SIGINT or the end of the process `parent`; the code to exit with. The same signal again ends
    the process at once.

    Raises InvalidInput, Refused or a PortError with one sentence when it cannot start.
    """
    stop = Stop()
    async with AsyncExitStack() as stack:
        stack.enter_context(stop.by_signals())
        if parent is not None:
            stack.callback(asyncio.create_task(end_with_parent(stop.ask, parent)).cancel)
        made = await stop.unless_asked(_start(settings, passphrase, stack, observer))
        return EXIT_DRAINED if made is None else await _serve(made, settings.web, stop, ready_line=ready_line)


async def _start(
    settings: Settings, passphrase: Secret, stack: AsyncExitStack, observer: EngineObserver
) -> Coordinator:
    try:
        async with asyncio.timeout(START_SECONDS):
            made = await build(settings, passphrase, stack, observer=observer)
            stack.push_async_callback(made.engine.stop, 0.0)
            await made.engine.start()
            return made
    except TimeoutError as error:
        fix = "look at the log for the service that was asked last, then start again"
        reason = f"was not ready within {START_SECONDS:g} s"
        raise StartTimeout("coordinator", reason, fix, fault=Fault.COORDINATOR) from error


async def _serve(made: Coordinator, web: WebSettings, stop: Stop, *, ready_line: bool) -> int:
    server = Server(made.application, address=web.host, port=web.port, interface=Interfaces.ASGI, log_enabled=False)
    serving = asyncio.create_task(server.serve())
    if ready_line:
        await stop.unless_asked(_announce(web, serving))
    asked, escalation = asyncio.create_task(stop.asked()), asyncio.create_task(made.engine.escalation())
    try:
        await asyncio.wait({asked, escalation, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            _raise_unserved(web, serving)
            log.critical("the web server ended by itself")
        broken = escalation.done() or serving.done()
    finally:
        asked.cancel()
        escalation.cancel()
    drained = await _end(made, server, serving)
    if broken:
        return EXIT_ESCALATED
    return EXIT_DRAINED if drained else EXIT_CUT_OFF


def _raise_unserved(web: WebSettings, serving: asyncio.Task[None]) -> None:
    """Nobody told the server to end. Raises InvalidInput, or what it raised itself."""
    error = serving.exception()
    if isinstance(error, RuntimeError | OSError):
        # The server's own message is followed by its stack.
        reason = f"cannot be listened on: {str(error).splitlines()[0]}"
        fix = "end the other process, or choose another port"
        raise InvalidInput(f"web.host {web.host} and web.port {web.port}", reason, fix, fault=Fault.COORDINATOR)
    serving.result()


async def _end(made: Coordinator, server: Server, serving: asyncio.Task[None]) -> bool:
    """Nobody new comes in, requests inside end, the engine is drained; the socket is closed last. True when nothing was
    cut off.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + STOP_SECONDS
    made.engine.health.stopping = True
    made.door.close()
    answered = await made.door.empty(REQUESTS_SECONDS)
    try:
        drained = await made.engine.stop(deadline - loop.time())
    except Exception:
        # A database that broke is why many a process ends: it does end, with the code that says why.
        log.exception("not drained")
        drained = False
    server.stop()
    done, _ = await asyncio.wait({serving}, timeout=SERVER_SECONDS)
    log.info("stopped", requests_answered=answered, drained=drained, server_ended=bool(done))
    return drained


async def _announce(web: WebSettings, serving: asyncio.Task[None]) -> None:
    """Granian tells nobody when it listens; a connection does."""
    while not serving.done():
        try:
            _, writer = await asyncio.open_connection(web.host, web.port)
        except OSError:
            await asyncio.sleep(LISTEN_POLL_SECONDS)
        else:
            writer.close()
            url = f"http://{web.host}:{web.port}"
            print(json.dumps({"service": "coordinator", "url": url}), flush=True)
            return
