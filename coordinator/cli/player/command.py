"""The group of a player's commands."""

from __future__ import annotations

import click

from coordinator.cli.player.claim import claim_entry
from coordinator.cli.player.join import join
from coordinator.cli.player.verify import verify
from coordinator.cli.player.watch import watch


@click.group()
def player() -> None:
    """Play in competitions of any coordinator: own keys, own checks, own kit."""


for command in (join, watch, verify, claim_entry):
    player.add_command(command)
