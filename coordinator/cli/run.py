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
@click.option(
    "--stop-unreadable", is_flag=True, help="Stop competitions with a row that cannot be read, and start the others."
)
def run(path: Path | None, *, ready_line: bool, exit_with_parent: bool, stop_unreadable: bool) -> None:
    """Run the coordinator with a settings file (docs/settings.md).

    Exits 78, with one sentence, when it does not start on this clock, database or seed.
    """
    parent = os.getppid() if exit_with_parent else None
    # Imported here: commands of players and operators start without web framework and database.
    from coordinator.cli.serving import EXIT_CUT_OFF, serve
    from coordinator.cli.starting import EXIT_REFUSED, StartRefused, require_fit

    log_to()
    try:
        chosen = choose(path)
        settings = load_settings(chosen.path)
        click.echo(f"coordinator: {chosen.path}, http://{settings.web.host}:{settings.web.port}", err=True)
        with asyncio.Runner() as runner:
            passphrase = chosen.passphrase()
            runner.run(require_fit(settings, passphrase, stop_unreadable=stop_unreadable))
            code = runner.run(serve(settings, passphrase, ready_line=ready_line, parent=parent))
            if code == EXIT_CUT_OFF:
                # Python would wait for threads that still compute what nobody will ask for. The database is closed.
                end_at_once(code)
    except StartRefused as error:
        click.echo(f"coordinator: {error}", err=True)
        sys.exit(EXIT_REFUSED)
    except (CoreError, PortError) as error:
        click.echo(f"coordinator: {error}", err=True)
        sys.exit(1)
    sys.exit(code)


def end_at_once(code: int) -> None:
    """End this process with a code, whatever its threads do."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
