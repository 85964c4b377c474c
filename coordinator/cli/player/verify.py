"""`coordinator player verify`: a claim kit or a signed contract, checked offline."""

from __future__ import annotations

import click
import msgspec

from coordinator.cli import files
from coordinator.cli.contract import check_signed
from coordinator.cli.exits import errors_end_the_command
from coordinator.cli.player.home import Home
from coordinator.cli.player.options import home_option
from coordinator.cli.text import one_line
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.errors import InvalidInput


@click.command()
@click.argument("file", type=click.Path(allow_dash=True))
@home_option
def verify(file: str, home: Home) -> None:
    """Verify FILE: a claim kit, or a SignedContract as dlctix writes it. Works offline.

    Of a kit: terms, the oracle's statement, parameters, every signature that the entry can claim with, and whether
    the seed in --home opens it. Exits 1 naming the first thing that does not verify.
    """
    with errors_end_the_command():
        with files.about(file):
            raw = files.read(file)
            if "dlc" in _members(raw):
                click.echo(check_signed(raw))
                return
            kit = ClaimKit.from_json(raw)
        slots = list(kit.signed.contract.claimable_slots(kit.player))
        click.echo(f"{one_line(kit.terms.title)}: terms {kit.terms.hash.hex()}")
        click.echo(f"entry {kit.entry_id} is player {kit.player} of {len(kit.signed.contract.parameters.players)}")
        click.echo(f"contract {kit.signed.contract.outpoint}, attempt {kit.attempt}: {len(slots)} signatures verify")
        click.echo(_opened(kit, home))


def _members(raw: bytes) -> frozenset[str]:
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidInput("file", f"is not JSON: {error}", "a claim kit or a SignedContract") from None
    return frozenset(value) if isinstance(value, dict) else frozenset()


def _opened(kit: ClaimKit, home: Home) -> str:
    if not home.has_seed:
        return f"no seed in {home.directory}: whose kit it is was not checked"
    try:
        kit.entry_key(home.keys().secret)
    except InvalidInput:
        return f"the seed in {home.directory} does not open it: it is another player's kit"
    return f"the seed in {home.directory} opens it"
