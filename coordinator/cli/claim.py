"""`coordinator claim`: from a claim kit to the prize on chain, without the coordinator."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import click

from coordinator.cli import files
from coordinator.cli.address import script_pubkey
from coordinator.cli.attestation import fetch_attestation
from coordinator.cli.claim_bump import Bump
from coordinator.cli.claim_progress import Progress, State, follow, offline
from coordinator.cli.esplora import Esplora
from coordinator.cli.exits import errors_end_the_command
from coordinator.cli.fee_options import FeeOptions, fee_options
from coordinator_core.claim_kit import ClaimDestination, ClaimKit, ClaimPlan, Step, plan_claim
from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import Transaction, bytes_from_hex
from coordinator_core.units import FeeRate


@click.command()
@click.argument("kit", type=click.Path(allow_dash=True))
@click.option("--attestation", metavar="HEX", help="The oracle's attestation.")
@click.option("--oracle", metavar="URL", help="Ask this oracle for it; default: the one in the kit.")
@click.option("--expiry", is_flag=True, help="Claim the equal shares of the expiry: the oracle did not attest.")
@click.option("--preimage-file", metavar="FILE", help="Holds the ticket preimage in hex; - asks for it.")
@click.option("--secret-file", metavar="FILE", help="Holds the player secret or the entry key in hex; - asks for it.")
@click.option("--to", "address", metavar="ADDRESS", help="Where the prize goes.")
@click.option("--fee-rate", metavar="SAT_PER_VB", help="Of the last transaction; default: the contract's.")
@click.option("--esplora", metavar="URL", help="Look at the chain through this Esplora server.")
@click.option("--broadcast", is_flag=True, help="Broadcast what may be mined now; needs --esplora.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@fee_options
def claim(
    kit: str,
    *,
    attestation: str | None,
    oracle: str | None,
    expiry: bool,
    preimage_file: str | None,
    secret_file: str | None,
    address: str | None,
    fee_rate: str | None,
    esplora: str | None,
    broadcast: bool,
    as_json: bool,
    fee_utxo: str | None,
    fee_key_file: str | None,
) -> None:
    """Build the transactions that bring the prize of KIT to ADDRESS, and broadcast what can be.

    Run it again after each step: the split and the last transaction each wait for a number of blocks
    that the kit knows. A step that pays too little is lifted to --fee-rate by a coin of yours. Secrets
    are read from files, asked for, or (the coin's key) in the environment, never on the command line.
    """
    with errors_end_the_command():
        if sum((attestation is not None, oracle is not None, expiry)) > 1:
            raise InvalidInput("--attestation", "excludes --oracle and --expiry", "give one of the three")
        if broadcast and esplora is None:
            raise InvalidInput("--broadcast", "needs a server", "give --esplora URL as well")
        with files.about(kit):
            held = ClaimKit.from_json(files.read(kit))
        secret = files.read_secret(secret_file, "player secret")
        target = destination(held, address, fee_rate)
        plan = plan_claim(
            held,
            None if expiry else find_attestation(held, attestation, oracle),
            ticket_preimage=files.read_secret(preimage_file, "ticket preimage"),
            entry_key=None if secret is None else held.entry_key(secret),
            destination=target,
        )
        bump = FeeOptions(fee_utxo, fee_key_file, fee_rate, esplora).bump(held, plan, target)
        show(plan, list(progress(plan, esplora, broadcast=broadcast, bump=bump)), as_json=as_json)


def find_attestation(kit: ClaimKit, given: str | None, oracle: str | None) -> bytes:
    """The attestation as given in hex, or as the oracle serves it. Raises InvalidInput, ServiceFailed, NotAttested."""
    if given is not None:
        return bytes_from_hex(given, 32, "--attestation")
    return fetch_attestation(oracle or kit.terms.oracle.url, kit.statement.statement.event_id)


def progress(plan: ClaimPlan, esplora: str | None, *, broadcast: bool, bump: Bump | None = None) -> Iterator[Progress]:
    """Each step as the chain has it, or as planned without a server. Raises ServiceFailed, BroadcastRefused."""
    if esplora is None:
        yield from offline(plan)
        return
    with Esplora(esplora) as chain:
        yield from follow(plan, chain, broadcast=broadcast, bump=bump)


def destination(kit: ClaimKit, address: str | None, fee_rate: str | None) -> ClaimDestination | None:
    """Where the prize goes, None without an address; `fee_rate` is sat/vB as typed. Raises InvalidInput."""
    rate = kit.signed.contract.parameters.fee_rate if fee_rate is None else _fee_rate(fee_rate)
    return None if address is None else ClaimDestination(script_pubkey(address, kit.terms.network, "--to"), rate)


def _fee_rate(text: str) -> FeeRate:
    try:
        rate = Decimal(text) * 250
        valid = rate.is_finite() and 25 <= rate <= 2_500_000
    except InvalidOperation:
        valid = False
    if not valid:
        raise InvalidInput("--fee-rate", "is no fee rate", "0.1 to 10000 sat/vB")
    return FeeRate(int(Decimal(text) * 250))


def show(plan: ClaimPlan, progress: Sequence[Progress], *, as_json: bool) -> None:
    """Print the steps of a claim."""
    if as_json:
        click.echo(json.dumps(_document(plan, progress), indent=1))
        return
    click.echo(f"Outcome {plan.label} pays this entry {plan.value:,} sat on chain, before the last fee.")
    for number, item in enumerate(progress, start=1):
        click.echo(f"{number}. {item.step.step:<8} {item.txid}  {_told(item)}")
        if item.state in (State.UNKNOWN, State.READY):
            click.echo(f"   {item.step.transaction.serialize().hex()}")
        if item.bump is not None:
            click.echo(f"   paid for by {item.bump.txid[::-1].hex()}")
            click.echo(f"   {item.bump.serialize().hex()}")
    if plan.missing:
        click.echo(f"To go on to the end this is needed as well: {', '.join(plan.missing)}.")


def _told(item: Progress) -> str:
    step = item.step
    match item.state:
        case State.CONFIRMED:
            return f"confirmed in block {item.height}"
        case State.TAKEN:
            hint = ": try --expiry, or its attestation" if step.after is None else ""
            return f"its output was taken by {item.other}{hint}"
        case State.WAITING | State.UNKNOWN:
            return _rule(item)
        case state:
            return state.value


def _rule(item: Progress) -> str:
    step, height = item.step, item.height
    if step.lock_time is not None:
        return f"waits until median time passes {datetime.fromtimestamp(step.lock_time, UTC):%Y-%m-%d %H:%M} UTC"
    if step.after is None:
        return "can be broadcast at once" if item.state is State.UNKNOWN else "waits for the funding transaction"
    when = f"{step.blocks} blocks after the {step.after} transaction"
    return f"can be mined from block {height} on" if height is not None else f"can be mined {when}"


def _bump(transaction: Transaction) -> dict[str, str]:
    return {"txid": transaction.txid[::-1].hex(), "hex": transaction.serialize().hex()}


def _document(plan: ClaimPlan, progress: Sequence[Progress]) -> dict[str, Any]:
    return {
        "outcome": plan.label,
        "value": plan.value,
        "missing": list(plan.missing),
        "done": bool(progress) and progress[-1].step.step is Step.WIN and progress[-1].state is State.CONFIRMED,
        "steps": [
            {
                "step": item.step.step.value,
                "txid": item.txid,
                "hex": item.step.transaction.serialize().hex(),
                "state": item.state.value,
                "height": item.height,
                "after": item.step.after and item.step.after.value,
                "blocks": item.step.blocks,
                "lock_time": item.step.lock_time,
                "taken_by": item.other if item.state is State.TAKEN else None,
                "replaced_by": None if item.state is State.TAKEN else item.other,
                "bump": None if item.bump is None else _bump(item.bump),
            }
            for item in progress
        ],
    }
