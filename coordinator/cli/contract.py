"""`coordinator contract`: build a contract from its parameters, verify a signed one. Works offline."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from coordinator.cli import files
from coordinator.cli.exits import told
from coordinator_core.dlc import (
    Contract,
    ContractParameters,
    SignedContract,
    label,
    parameters_from_json,
    validate,
)
from coordinator_core.dlc.serialization import signed_contract_parts
from coordinator_core.errors import CoreError, Refused, VerificationFailed
from coordinator_core.transaction import OutPoint, Transaction

EXIT_BAD_SIGNATURE: Final = 1
EXIT_BAD_INPUT: Final = 2


@click.group()
def contract() -> None:
    """Build and verify ticketed DLC contracts without any service."""


@contract.command()
@click.argument("params", type=click.Path(allow_dash=True))
@click.option("--outpoint", required=True, metavar="TXID:VOUT", help="Where the funding output is or will be.")
@click.option(
    "--allow-unbound-rankings",
    is_flag=True,
    help="Inspect a foreign contract under dlctix's rules for stored contracts, in which the ranking may not hold.",
)
def build(params: str, outpoint: str, *, allow_unbound_rankings: bool) -> None:
    """Print transactions, signature hashes and digest of the contract in PARAMS (JSON, or - for standard input)."""
    with _errors_end_the_command():
        funding = OutPoint.parse(outpoint, "--outpoint")
        with files.about(params):
            parameters = parameters_from_json(files.read(params))
            if allow_unbound_rankings:
                _warn("--allow-unbound-rankings is for inspection: never fund a contract that needs it")
                _warn_if_refused(parameters)
            built = Contract.build(parameters, funding, foreign=allow_unbound_rankings)
        click.echo(json.dumps(_description(built), indent=1))


@contract.command()
@click.argument("signed", type=click.Path(allow_dash=True))
@click.option("--player", type=click.IntRange(min=0), help="Check only what this player (index) needs to be paid.")
def verify(signed: str, player: int | None) -> None:
    """Rebuild the SignedContract in SIGNED (JSON of dlctix, or - for standard input) and verify its signatures.

    Exits 0 if every signature verifies, 1 naming the first bad one, 2 if the document cannot be used.
    """
    with _errors_end_the_command(), files.about(signed):
        click.echo(check_signed(files.read(signed), player))


def check_signed(raw: bytes, player: int | None = None) -> str:
    """Verify every signature of a SignedContract document, or those that one player claims with; what was found.

    Raises InvalidInput or Refused for a document that cannot be used, InvalidSignature naming the first bad one.
    """
    parameters, outpoint, signatures = signed_contract_parts(raw)
    _warn_if_refused(parameters)
    built = Contract.build(parameters, outpoint, foreign=True)
    SignedContract.verified(built, signatures, player=player)
    checked = list(built.slots() if player is None else built.claimable_slots(player))
    return f"{len(checked)} signatures verify, contract digest {built.digest.hex()}"


def _warn(text: str) -> None:
    click.echo(f"Warning: {text}", err=True)


def _warn_if_refused(parameters: ContractParameters) -> None:
    try:
        validate(parameters)
    except Refused as refusal:
        _warn(f"a contract made here would be refused: {refusal}")


@contextmanager
def _errors_end_the_command() -> Iterator[None]:
    try:
        yield
    except CoreError as error:
        click.echo(f"Error: {told(error)}", err=True)
        failed = isinstance(error, VerificationFailed)
        raise click.exceptions.Exit(EXIT_BAD_SIGNATURE if failed else EXIT_BAD_INPUT) from None


def _description(built: Contract) -> dict[str, Any]:
    outcomes = built.outcomes
    return {
        "funding_output": {
            "script_pubkey": built.funding_output.script_pubkey.hex(),
            "value": built.funding_output.value,
        },
        "outcome_txs": {label(o): _transaction(built.outcome_transaction(o)) for o in outcomes},
        "split_txs": {label(o): _transaction(built.split_transaction(o)) for o in outcomes},
        "outcome_sighashes": {label(o): built.item(o).message.hex() for o in outcomes},
        "split_sighashes": {label(w): built.item(w).message.hex() for w in built.parameters.win_conditions()},
        "digest": built.digest.hex(),
    }


def _transaction(transaction: Transaction) -> dict[str, str]:
    return {"tx": transaction.serialize().hex(), "txid": transaction.txid[::-1].hex()}
