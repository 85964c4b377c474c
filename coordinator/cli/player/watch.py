"""`coordinator player watch`: keep the appointment, hold the kit, be paid."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final
from uuid import UUID

import click

from coordinator.cli import files
from coordinator.cli.exits import EXIT_FAILED, errors_end_the_command
from coordinator.cli.player.home import Home
from coordinator.cli.player.options import WalletOptions, home_option, player_of, wallet_options
from coordinator.cli.text import one_line
from coordinator.player.play import FINAL, Player
from coordinator.player.wire.payouts import PayoutStatus
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.errors import InvalidInput

CONSENT: Final = (
    "an invoice that is not on your payout hash is paid only after you hand over the payout preimage: from then on "
    "you trust the coordinator with the prize, and hold its signed debt receipt"
)
GOOD: Final = frozenset({"PAID", "CLAIMED", "lost", "none"})
_ENDINGS: Final = {
    "PAID": "paid",
    "CLAIMED": "claimed on chain",
    "OWED": "owed to you by the coordinator: keep the state file with its receipts, and watch again to be paid",
    "VOID": "void: your ticket was given back",
    "ONCHAIN": "not paid over Lightning in time",
    "UNECONOMIC": "not paid over Lightning in time; your share on chain is worth less than taking it costs",
    "lost": "no prize this time",
    "none": "it ended without a contract; your ticket is given back",
}


@click.command()
@click.argument("competition", type=click.UUID)
@click.option("--invoice", metavar="BOLT11", help="Without a wallet of yours here: be paid to this invoice.")
@click.option("--i-give-the-preimage-first", "consent", is_flag=True, help="Needed with --invoice.")
@click.option("--keep-key", is_flag=True, help="Do not give the entry key after the payment.")
@home_option
@wallet_options
def watch(
    competition: UUID,
    *,
    invoice: str | None,
    consent: bool,
    keep_key: bool,
    home: Home,
    lnd_url: str | None,
    macaroon_file: str | None,
    certificate_file: Path | None,
) -> None:
    """Stay with your entry in COMPETITION until it is over: seal, compare, approve, keep the kit, be paid.

    With --lnd-url a prize is paid atomically. Run it again after an interruption.
    """
    with errors_end_the_command():
        if invoice is not None and not consent:
            raise InvalidInput("--invoice", CONSENT, "say --i-give-the-preimage-first if you agree")
        state = home.entry(str(competition))
        options = WalletOptions(lnd_url, macaroon_file, certificate_file)
        player = player_of(home, state, options.open(invoice))
        payable = lnd_url is not None or invoice is not None
        end = asyncio.run(_watch(player, home, payable=payable, plain=invoice is not None, keep_key=keep_key))
    if end == "ONCHAIN" or (end == "CLAIMABLE" and not payable):
        click.echo(f"on chain you are paid with: coordinator player claim {competition} --to ADDRESS --esplora URL")
    if end not in GOOD and end != "CLAIMABLE":
        raise click.exceptions.Exit(EXIT_FAILED)


async def _watch(player: Player, home: Home, *, payable: bool, plain: bool, keep_key: bool) -> str:
    try:
        if not await _hold_kit(player, home):
            return _tell("none")
        await _keep_preimage(player, home)
        status = await player.result()
        if status.state in FINAL | {"none"}:
            return _tell(status.state)
        _tell_prize(status)
        if not payable:
            click.echo(
                f"to be paid over Lightning make an invoice over {status.net} sat, then watch again with "
                f"--invoice BOLT11 --i-give-the-preimage-first ({CONSENT})"
            )
            return status.state
        return _tell(await player.take_prize(plain=plain, keep_key=keep_key, until=FINAL | {"ONCHAIN"}))
    finally:
        await player.close()


async def _hold_kit(player: Player, home: Home) -> bool:
    """The kit, from the file or out of the closing; False when there is no contract."""
    path = home.kit(player.competition)
    await player.read_terms()
    if path.exists():
        with files.about(path):
            player.kit = ClaimKit.from_json(files.read(path))
        return True
    click.echo("keeping the appointment: this has to run until the closing is done")
    kit = await player.keep_appointment()
    if kit is None:
        return False
    files.write(path, kit.to_json().encode())
    click.echo(f"claim kit in {path}: with it you are paid even without the coordinator")
    return True


async def _keep_preimage(player: Player, home: Home) -> None:
    path = home.preimage(player.competition)
    if path.exists():
        return
    found = await player.proof_of_payment()
    if found is not None:
        files.write(path, found.reveal().hex().encode() + b"\n")
        click.echo(f"the ticket is settled; its preimage is in {path}")


def _tell(state: str) -> str:
    click.echo(_ENDINGS.get(state, one_line(state)))
    return state


def _tell_prize(status: PayoutStatus) -> None:
    net = status.net or 0
    place = f"you are number {status.place}" if status.place is not None else "your stake"
    click.echo(f"{place}: {net:,} sat")
