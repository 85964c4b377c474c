"""`./dev start`: services in the background, embedded ones or real bitcoind and LND."""

from __future__ import annotations

from pathlib import Path

import click

from coordinator.cli.dev.background import Background
from coordinator.cli.dev.start import directory_option, tell
from coordinator.cli.dev.start import start as start_embedded
from coordinator.cli.exits import errors_end_the_command
from tools.background import start_real


@click.command()
@directory_option
@click.option("--wallets", type=click.IntRange(0, 25), default=3, show_default=True, help="Embedded wallets to play.")
@click.option(
    "--services",
    type=click.Choice(["embedded", "real"]),
    default="embedded",
    show_default=True,
    help="real: bitcoind and LND (./dev daemons) with embedded keymeld, oracle and relay.",
)
@click.pass_context
def start(context: click.Context, data_dir: Path, wallets: int, services: str) -> None:
    """Start all services in the background; `./dev stop` ends them, `./dev run` runs the coordinator on them."""
    if services == "embedded":
        context.invoke(start_embedded, data_dir=data_dir, wallets=wallets)
        return
    with errors_end_the_command():
        background = Background(data_dir)
        with background.alone():
            background.refuse_when_running()
            file, players = start_real(data_dir.absolute(), background)
        tell(file, data_dir)
        for name, player in players.items():
            click.echo(f"{name}: {player.url} {player.macaroon_file} {player.certificate_file}")


if __name__ == "__main__":
    start()
