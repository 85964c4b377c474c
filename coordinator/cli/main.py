"""The command line."""

from __future__ import annotations

import click

from coordinator import __version__
from coordinator.cli.admin.command import admin
from coordinator.cli.backup import backup, restore
from coordinator.cli.claim import claim
from coordinator.cli.competition.command import competition
from coordinator.cli.contract import contract
from coordinator.cli.demo.command import demo
from coordinator.cli.dev.command import dev
from coordinator.cli.dev.mine import mine
from coordinator.cli.dev.start import start, stop
from coordinator.cli.doctor.command import doctor
from coordinator.cli.lightning import lightning
from coordinator.cli.migrate import migrate
from coordinator.cli.migrate_states import migrate_states
from coordinator.cli.player.command import player
from coordinator.cli.receipt import verify_receipt
from coordinator.cli.run import run


@click.group()
@click.version_option(__version__, prog_name="coordinator")
def main() -> None:
    """Prediction competitions on Bitcoin, settled by Discreet Log Contracts."""


main.add_command(run)
main.add_command(demo)
main.add_command(dev)
main.add_command(mine)
main.add_command(start)
main.add_command(stop)
main.add_command(competition)
main.add_command(admin)
main.add_command(player)
main.add_command(lightning)
main.add_command(migrate)
main.add_command(migrate_states)
main.add_command(doctor)
main.add_command(backup)
main.add_command(restore)
main.add_command(contract)
contract.add_command(verify_receipt)
main.add_command(claim)

if __name__ == "__main__":
    main()
