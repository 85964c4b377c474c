"""`coordinator player join`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from coordinator.cli import files
from coordinator.cli.exits import errors_end_the_command
from coordinator.cli.player.home import EntryState, Home
from coordinator.cli.player.options import WalletOptions, home_option, player_of, wallet_options
from coordinator.cli.text import one_line
from coordinator.player.play import Player
from coordinator_core.competition.documents import decode_strict
from coordinator_core.competition.fees import PriceLines
from coordinator_core.competition.picks import Pick, check_picks, sorted_picks
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import InvalidInput, Refused


class Declined(Refused):
    """The player did not agree to a price."""

    code = "cli.price_declined"


@click.command()
@click.argument("url")
@click.argument("competition", type=click.UUID)
@click.option("--picks", "picks_file", required=True, metavar="FILE", help='JSON: [{"target", "metric", "choice"}].')
@click.option("--yes", is_flag=True, help="Do not ask before paying.")
@home_option
@wallet_options
def join(
    url: str,
    competition: UUID,
    *,
    picks_file: str,
    yes: bool,
    home: Home,
    lnd_url: str | None,
    macaroon_file: str | None,
    certificate_file: Path | None,
) -> None:
    """Buy a ticket of COMPETITION at the coordinator at URL with the picks in FILE; ends when it is held.

    Run it again after an interruption: it goes on with the same entry.
    """
    with errors_end_the_command():
        with files.about(picks_file):
            picks = sorted_picks(decode_strict(files.read(picks_file), tuple[Pick, ...], "picks"))
        state = home.find(str(competition)) or EntryState(url=url, competition=str(competition))
        if state.entry_id and state.picks != picks:
            raise InvalidInput("--picks", "are others than those of your entry", "the same file again")
        state.url, state.picks = url, picks
        wallet = WalletOptions(lnd_url, macaroon_file, certificate_file).open()
        player = player_of(home, state, wallet)
        player.agree = _asking(yes=yes)
        terms = asyncio.run(_join(player, home))
    closes = datetime.fromtimestamp(terms.schedule.entries_close, UTC)
    click.echo(f"your ticket {player.entry_id} is held")
    click.echo(
        f"the appointment: entries close {closes:%Y-%m-%d %H:%M} UTC; from then on your client has to run: "
        f"coordinator player watch {competition}"
    )


async def _join(player: Player, home: Home) -> Terms:
    try:
        terms = await player.read_terms()
        files.write(home.terms(player.competition), terms.to_bytes())
        click.echo(f"{one_line(terms.title)}: terms {terms.hash.hex()}")
        check_picks(player.picks, terms.observation)
        await player.join(player.picks)
    finally:
        await player.close()
    return terms


def _asking(*, yes: bool) -> Callable[[PriceLines], None]:
    """Ask once for each price that is higher than the one agreed to."""
    agreed = 0

    def agree(price: PriceLines) -> None:
        nonlocal agreed
        if price.total <= agreed:
            return
        click.echo(
            f"price: {price.entry_fee:,} entry fee + {price.coordinator_fee:,} coordinator fee "
            f"+ {price.network_fee:,} network fee = {price.total:,} sat"
        )
        if not yes and not click.confirm("Pay it?", err=True):
            raise Declined("price", "was declined", "run the command again to be asked again")
        agreed = price.total

    return agree
