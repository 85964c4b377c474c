"""`coordinator run`: the coordinator as one process."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import click
import structlog

from coordinator.config.settings import load_settings
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError


@click.command()
@click.option(
    "--settings", "path", type=click.Path(path_type=Path), default=Path("coordinator.toml"), show_default=True
)
@click.option("--ready-line", is_flag=True, help="Print one JSON line on stdout when requests are served.")
def run(path: Path, *, ready_line: bool) -> None:
    """Run the coordinator with a settings file (docs/settings.md)."""
    # Imported here: commands of players and operators start without web framework and database.
    from coordinator.cli.serving import serve

    _log_to_stderr()
    try:
        asyncio.run(serve(load_settings(path), ready_line=ready_line))
    except (CoreError, PortError) as error:
        click.echo(f"coordinator: {error}", err=True)
        sys.exit(1)


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
