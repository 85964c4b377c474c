"""`coordinator player claim`: the prize on chain, with what the player's directory holds."""

from __future__ import annotations

from uuid import UUID

import click

from coordinator.cli import files
from coordinator.cli.claim import destination, find_attestation, progress, show
from coordinator.cli.exits import errors_end_the_command
from coordinator.cli.fee_options import FeeOptions, fee_options
from coordinator.cli.player.home import Home
from coordinator.cli.player.options import home_option
from coordinator_core.claim_kit import ClaimKit, plan_claim
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret


@click.command("claim")
@click.argument("competition", type=click.UUID)
@click.option("--to", "address", metavar="ADDRESS", help="Where the prize goes.")
@click.option("--esplora", metavar="URL", help="Look at the chain through this Esplora server.")
@click.option("--broadcast", is_flag=True, help="Broadcast what may be mined now; needs --esplora.")
@click.option("--attestation", metavar="HEX", help="The oracle's attestation.")
@click.option("--oracle", metavar="URL", help="Ask this oracle for it; default: the one in the kit.")
@click.option("--expiry", is_flag=True, help="Claim the equal shares of the expiry: the oracle did not attest.")
@click.option("--preimage-file", metavar="FILE", help="Ticket preimage in hex; - asks. Default: the one in --home.")
@click.option("--fee-rate", metavar="SAT_PER_VB", help="Of the last transaction; default: the contract's.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@fee_options
@home_option
def claim_entry(
    competition: UUID,
    *,
    address: str | None,
    esplora: str | None,
    broadcast: bool,
    attestation: str | None,
    oracle: str | None,
    expiry: bool,
    preimage_file: str | None,
    fee_rate: str | None,
    as_json: bool,
    fee_utxo: str | None,
    fee_key_file: str | None,
    home: Home,
) -> None:
    """Bring the prize of your entry in COMPETITION to ADDRESS on chain; the coordinator is not needed.

    Run it again after each step: the split and the last transaction each wait for a number of blocks.
    """
    with errors_end_the_command():
        if sum((attestation is not None, oracle is not None, expiry)) > 1:
            raise InvalidInput("--attestation", "excludes --oracle and --expiry", "give one of the three")
        if broadcast and esplora is None:
            raise InvalidInput("--broadcast", "needs a server", "give --esplora URL as well")
        path = home.kit(str(competition))
        if not path.exists():
            raise InvalidInput("competition", f"has no claim kit in {home.directory}", "watch its closing first")
        with files.about(path):
            kit = ClaimKit.from_json(files.read(path))
        target = destination(kit, address, fee_rate)
        plan = plan_claim(
            kit,
            None if expiry else find_attestation(kit, attestation, oracle),
            ticket_preimage=_preimage(home, str(competition), preimage_file),
            entry_key=kit.entry_key(home.keys().secret),
            destination=target,
        )
        bump = FeeOptions(fee_utxo, fee_key_file, fee_rate, esplora).bump(kit, plan, target)
        show(plan, list(progress(plan, esplora, broadcast=broadcast, bump=bump)), as_json=as_json)


def _preimage(home: Home, competition: str, given: str | None) -> Secret | None:
    kept = home.preimage(competition)
    return files.read_secret(given or (str(kept) if kept.exists() else None), "ticket preimage")
