"""`coordinator run`: the coordinator as one process."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import click
import structlog
from granian.constants import Interfaces
from granian.server.embed import Server

from coordinator.app import build
from coordinator.config.settings import Settings, load_settings, passphrase
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError

LISTEN_POLL_SECONDS = 0.05


@click.command()
@click.option(
    "--settings", "path", type=click.Path(path_type=Path), default=Path("coordinator.toml"), show_default=True
)
@click.option("--ready-line", is_flag=True, help="Print one JSON line on stdout when requests are served.")
def run(path: Path, *, ready_line: bool) -> None:
    """Run the coordinator with a settings file (docs/settings.md)."""
    _log_to_stderr()
    try:
        asyncio.run(serve(load_settings(path), ready_line=ready_line))
    except (CoreError, PortError) as error:
        click.echo(f"coordinator: {error}", err=True)
        sys.exit(1)


async def serve(settings: Settings, *, ready_line: bool) -> None:
    """Serve until SIGTERM or SIGINT: stop accepting, let requests end, stop the loops, close the database."""
    async with AsyncExitStack() as stack:
        made = await build(settings, passphrase(), stack)
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


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
