"""`coordinator run`: the coordinator as one process."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import click
import structlog
import uvicorn

from coordinator.app import build
from coordinator.config.settings import Settings, load_settings, passphrase
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError

GRACE_SECONDS = 5


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
    """Serve until SIGTERM or SIGINT."""
    async with AsyncExitStack() as stack:
        made = await build(settings, passphrase(), stack)
        config = uvicorn.Config(
            made.application,
            host=settings.web.host,
            port=settings.web.port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        server = _Announcing(config, f"http://{settings.web.host}:{settings.web.port}", ready_line=ready_line)
        await server.serve()


class _Announcing(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config, url: str, *, ready_line: bool) -> None:
        super().__init__(config)
        self._url = url
        self._ready_line = ready_line

    async def startup(self, sockets: list[object] | None = None) -> None:  # type: ignore[override]
        await super().startup()
        if self._ready_line and self.started:
            print(json.dumps({"service": "coordinator", "url": self._url}), flush=True)


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
