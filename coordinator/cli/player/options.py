"""Options that several commands of a player have."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from coordinator.cli import files
from coordinator.cli.player.by_hand import WalletByHand
from coordinator.cli.player.home import DEFAULT, EntryState, Home, as_home
from coordinator.cli.text import one_line
from coordinator.player.play import Player
from coordinator.player.wallet import LightningWallet, Wallet
from coordinator_core.errors import InvalidInput

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class WalletOptions:
    """The player's own LND; without a URL the wallet is anywhere and its owner pays by hand."""

    url: str | None
    macaroon_file: str | None
    certificate_file: Path | None

    def open(self, invoice: str | None = None) -> Wallet:
        """The wallet. Raises InvalidInput."""
        if self.url is None:
            return WalletByHand(click.echo, draw=sys.stdout.isatty(), invoice=invoice)
        if invoice is not None:
            raise InvalidInput("--invoice", "is not needed with a wallet", "leave it out: the prize is paid atomically")
        if self.macaroon_file is None:
            raise InvalidInput("--macaroon-file", "is not given", "the file that opens the wallet at --lnd-url")
        macaroon = files.read(self.macaroon_file, "--macaroon-file")
        return LightningWallet(self.url, macaroon.hex(), self.certificate_file)


home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT,
    show_default=True,
    envvar="COORDINATOR_PLAYER_HOME",
    callback=as_home,
    help="Seed, entries and kits; the seed is made on first use. Back it up.",
)


def wallet_options(command: F) -> F:
    """The wallet's options."""
    for option in (
        click.option("--certificate-file", type=click.Path(path_type=Path), help="LND's tls.cert, where it has one."),
        click.option("--macaroon-file", metavar="FILE", help="Macaroon of that LND."),
        click.option("--lnd-url", metavar="URL", help="REST address of your own LND; without it you pay by hand."),
    ):
        command = option(command)
    return command


def player_of(home: Home, state: EntryState, wallet: Wallet) -> Player:
    """A player that goes on from a state, and keeps it."""
    player = Player(state.url, home.keys(), wallet, state.competition)
    player.say = lambda text: click.echo(one_line(text))
    state.give_to(player)

    def keep() -> None:
        state.take_from(player)
        home.save(state)

    player.keep = keep
    return player
