"""`coordinator contract verify-receipt`: what a reservation receipt and the ticket's preimage prove, for anyone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import click
import msgspec

from coordinator.cli import files
from coordinator.cli.esplora import Esplora
from coordinator.cli.exits import EXIT_FAILED, errors_end_the_command
from coordinator_core.competition.documents import convert_strict, decode_strict
from coordinator_core.competition.terms import Terms, decode_terms
from coordinator_core.dlc.serialization import parameters_from_value, signed_contract_parts_from_value
from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.event import Event
from coordinator_core.receipts import (
    FundingEvidence,
    RepaymentEvidence,
    ReservationReceipt,
    Verdict,
    judge_ticket,
    verify_reservation,
)
from coordinator_core.receipts.fraud import PROOF_BLOCKS
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint, bytes_from_hex
from coordinator_core.units import Confirmations, Height

_MEANING: Final = {
    Verdict.TOO_EARLY: "the coordinator still has time",
    Verdict.KEPT: "a confirmed contract holds this ticket",
    Verdict.REPAID: "the ticket was repaid",
    Verdict.FRAUD: "the ticket was taken, and no confirmed contract or repayment was shown",
}


class Repayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A repayment as a coordinator shows it: the player's signed request, the preimage (hex) of its payment."""

    request: Event
    preimage: str


@click.command("verify-receipt")
@click.argument("receipt", type=click.Path(allow_dash=True))
@click.option("--terms", "terms_file", required=True, metavar="FILE", help="The competition's terms, as published.")
@click.option("--preimage-file", required=True, metavar="FILE", help="Ticket preimage in hex; - asks for it.")
@click.option(
    "--contract", "contracts", multiple=True, metavar="FILE", help="Said to hold the ticket; needs --esplora."
)
@click.option(
    "--repayment", "repayments", multiple=True, metavar="FILE", help='JSON {"request": ..., "preimage": ...}.'
)
@click.option("--esplora", metavar="URL", help="Look at the chain through this Esplora server.")
@click.option("--tip", type=click.IntRange(1, 499_999_999), help="Height of the chain, where no server is asked.")
def verify_receipt(
    receipt: str,
    *,
    terms_file: str,
    preimage_file: str,
    contracts: tuple[str, ...],
    repayments: tuple[str, ...],
    esplora: str | None,
    tip: int | None,
) -> None:
    """Judge RECEIPT, a reservation receipt (or the state file of `coordinator player`), with the ticket's preimage.

    Exits 1 if together they prove that a ticket was taken for nothing, else 0; 2 if they cannot be used.
    """
    with errors_end_the_command():
        if (esplora is None) == (tip is None) or (contracts and esplora is None):
            raise InvalidInput("--esplora", "or --tip is needed, and contracts need --esplora", "give one of the two")
        with files.about(terms_file):
            terms = decode_terms(files.read(terms_file).strip())
        with files.about(receipt):
            reservation = _reservation(files.read(receipt), terms)
        preimage = files.read_secret(preimage_file, "ticket preimage")
        height, funding = (Height(tip or 0), []) if esplora is None else _chain(esplora, contracts)
        verdict = judge_ticket(
            reservation,
            preimage or Secret(b""),
            height,
            terms.contract.required_confirmations,
            funding,
            [_repayment(path) for path in repayments],
        )
        click.echo(f"{verdict.value}: {_MEANING[verdict]}")
        last = reservation.funding_deadline + PROOF_BLOCKS
        click.echo(
            f"ticket {reservation.ticket_hash} of entry {reservation.entry_id}, {reservation.price.total:,} sat; "
            f"height {height:,}, judged from {last:,} on"
        )
        if verdict is Verdict.FRAUD:
            raise click.exceptions.Exit(EXIT_FAILED)


def _reservation(raw: bytes, terms: Terms) -> ReservationReceipt:
    """The receipt for whichever player it names: the coordinator's signature is what counts."""
    value = decode_strict(raw, dict[str, Any], "receipt")
    event = convert_strict(value.get("receipt", value), Event, "receipt")
    player = decode_strict(event.content, dict[str, Any], "receipt.content").get("player")
    return verify_reservation(event, terms, bytes_from_hex(player, 32, "receipt.content.player"))


def _chain(esplora: str, contracts: Sequence[str]) -> tuple[Height, list[FundingEvidence]]:
    with Esplora(esplora) as chain:
        tip = chain.tip_height()
        found = [_funding(path, chain, tip) for path in contracts]
    return tip, [evidence for evidence in found if evidence is not None]


def _funding(path: str, chain: Esplora, tip: Height) -> FundingEvidence | None:
    """A contract with its funding output as the chain has it; None when it is not in a block."""
    with files.about(path):
        value = decode_strict(files.read(path), dict[str, Any], "contract", limit=files.MAX_BYTES)
        if "parameters" in value:
            parameters = parameters_from_value(value["parameters"], "contract.parameters")
            outpoint = OutPoint.parse(value.get("outpoint"), "contract.outpoint")
        else:
            parameters, outpoint, _ = signed_contract_parts_from_value(value.get("contract", value), "contract")
    height = chain.confirmation(outpoint.txid).height
    output = chain.output(outpoint)
    if height is None or output is None:
        return None
    return FundingEvidence(parameters, output, Confirmations(max(0, tip - height + 1)))


def _repayment(path: str) -> RepaymentEvidence:
    with files.about(path):
        shown = decode_strict(files.read(path), Repayment, "repayment")
        return RepaymentEvidence(shown.request, Secret(bytes_from_hex(shown.preimage, 32, "repayment.preimage")))
