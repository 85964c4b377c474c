"""What a reservation receipt and the ticket's preimage prove (money section 3).

Together they are public proof of fraud unless, 144 blocks after F, a confirmed contract holds the ticket or a
repayment is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal
from uuid import UUID

from msgspec import Struct

from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.signed import REPAYMENT_KIND, open_document, sign_document
from coordinator_core.competition.terms import Amount
from coordinator_core.dlc import ContractParameters
from coordinator_core.dlc.funding import funding_output
from coordinator_core.dlc.preimage import require_preimage
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.reservation import ReservationReceipt
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret
from coordinator_core.transaction import TxOut
from coordinator_core.units import Confirmations, Height, UnixTime

PROOF_BLOCKS: Final = 144
"""From F until a taken ticket without contract or repayment is a fraud."""


class RepaymentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a player signs to be repaid: paying this hash, at least this much, repays the ticket."""

    type: Literal["repayment/v1"]
    terms_hash: Hex32
    entry_id: UUID
    payment_hash: Hex32
    amount: Amount


class Verdict(StrEnum):
    """What a receipt and a ticket preimage prove."""

    TOO_EARLY = "too early"
    KEPT = "kept"
    REPAID = "repaid"
    FRAUD = "fraud"


@dataclass(frozen=True, slots=True)
class FundingEvidence:
    """A contract that is said to hold the ticket, and the output that the chain holds at its outpoint."""

    parameters: ContractParameters
    output: TxOut
    confirmations: Confirmations


@dataclass(frozen=True, slots=True)
class RepaymentEvidence:
    """The player's signed request and the preimage of the payment that answered it."""

    request: Event
    preimage: Secret


def sign_repayment_request(
    identity: SecretKey, receipt: ReservationReceipt, *, payment_hash: bytes, created_at: UnixTime
) -> Event:
    """A player's request to be repaid the whole price on a payment hash (32 bytes) of its own."""
    request = RepaymentRequest(
        type="repayment/v1",
        terms_hash=receipt.terms_hash,
        entry_id=receipt.entry_id,
        payment_hash=payment_hash.hex(),
        amount=receipt.price.total,
    )
    return sign_document(identity, REPAYMENT_KIND, request, created_at)


def judge_ticket(
    receipt: ReservationReceipt,
    ticket_preimage: Secret,
    tip: Height,
    required: Confirmations,
    funding: Sequence[FundingEvidence] = (),
    repayments: Sequence[RepaymentEvidence] = (),
) -> Verdict:
    """What a verified receipt and the ticket's preimage prove at height `tip`, given all evidence there is.

    Evidence that does not hold is not counted. Raises InvalidInput if the preimage is not the
    ticket's: nothing was taken then.
    """
    ticket_hash = bytes.fromhex(receipt.ticket_hash)
    require_preimage(ticket_preimage, ticket_hash, "ticket preimage")
    if any(_holds_ticket(evidence, ticket_hash, required) for evidence in funding):
        return Verdict.KEPT
    if any(_repays(evidence, receipt) for evidence in repayments):
        return Verdict.REPAID
    return Verdict.FRAUD if tip >= receipt.funding_deadline + PROOF_BLOCKS else Verdict.TOO_EARLY


def _holds_ticket(evidence: FundingEvidence, ticket_hash: bytes, required: Confirmations) -> bool:
    if evidence.confirmations < required:
        return False
    try:
        expected = funding_output(evidence.parameters)
    except InvalidInput:
        return False
    tickets = {player.ticket_hash for player in evidence.parameters.players}
    return evidence.output == expected and ticket_hash in tickets


def _repays(evidence: RepaymentEvidence, receipt: ReservationReceipt) -> bool:
    try:
        request = open_document(
            evidence.request,
            REPAYMENT_KIND,
            RepaymentRequest,
            bytes.fromhex(receipt.player),
            "request",
            Fault.PLAYER,
        )
    except (InvalidInput, VerificationFailed):
        return False
    return (
        request.terms_hash == receipt.terms_hash
        and request.entry_id == receipt.entry_id
        and request.amount >= receipt.price.total
        and sha256(evidence.preimage.reveal()).hex() == request.payment_hash
    )
