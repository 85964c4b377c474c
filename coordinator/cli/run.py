"""`coordinator run`: the coordinator as one process."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import click

from coordinator.cli.chosen import choose
from coordinator.cli.logs import log_to
from coordinator.config.settings import load_settings
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError


@click.command()
@click.option(
    "--settings",
    "path",
    type=click.Path(path_type=Path),
    default=None,
    help="Default: coordinator.toml here, else the file that `coordinator start` wrote.",
)
@click.option("--ready-line", is_flag=True, help="Print one JSON line on stdout when requests are served.")
@click.option("--exit-with-parent", is_flag=True, help="Stop when the process that started this one has ended.")
def run(path: Path | None, *, ready_line: bool, exit_with_parent: bool) -> None:
    """Run the coordinator with a settings file (docs/settings.md)."""
    parent = os.getppid() if exit_with_parent else None
    # Imported here: commands of players and operators start without web framework and database.
    from coordinator.cli.serving import serve

    log_to()
    try:
        chosen = choose(path)
        settings = load_settings(chosen.path)
        click.echo(f"coordinator: {chosen.path}, http://{settings.web.host}:{settings.web.port}", err=True)
        asyncio.run(serve(settings, chosen.passphrase(), ready_line=ready_line, parent=parent))
    except (CoreError, PortError) as error:
        click.echo(f"coordinator: {error}", err=True)
        sys.exit(1)
