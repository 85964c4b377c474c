"""`coordinator mine`: blocks on request for a running `coordinator dev`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from coordinator.cli.dev.node import DevNode
from coordinator.cli.dev.stack_file import DEFAULT_DIRECTORY, StackFile
from coordinator.cli.exits import errors_end_the_command
from coordinator_core.units import UnixTime

MAX_BLOCKS = 1_000


@click.command()
@click.argument("blocks", type=click.IntRange(1, MAX_BLOCKS), default=1)
@click.option("--until", "moment", metavar="DATE", type=click.DateTime(["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]))
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="The one of `coordinator dev`.",
)
def mine(blocks: int, moment: datetime | None, data_dir: Path) -> None:
    """Mine BLOCKS (default 1) on the chain of `coordinator dev`.

    Each block is a minute after the one before; --until (UTC) first lets the chain's time reach a date.
    """
    with errors_end_the_command():
        node = DevNode.of(StackFile.load(data_dir))
        if moment is not None:
            node.let_time_reach(UnixTime(int(moment.replace(tzinfo=UTC).timestamp())))
        node.mine(blocks)
        height, time = node.tip()
    click.echo(f"height {height:,}, chain time {datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC")
