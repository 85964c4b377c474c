"""The receipt of a debt: what the coordinator owes a player, and what ends it (money section 6)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

from msgspec import Meta, Struct

from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.entries import Entry
from coordinator_core.competition.signed import DEBT_RECEIPT_KIND, open_document, sign_document
from coordinator_core.competition.terms import Amount, Terms
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.binding import check_bound, coordinator_key
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.transaction import OutPoint
from coordinator_core.units import Sats, UnixTime

CLAIM_ENDS_DEBT: Final = "a confirmed claim of the output on chain ends this debt"


class DebtReason(StrEnum):
    """What is owed."""

    PRIZE = "prize"
    TICKET = "ticket"
    COORDINATOR_FEE = "coordinator fee"
    ESCROW_REST = "escrow rest"


class DebtReceipt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The coordinator owes an amount until it is paid, or until the named output is claimed on chain."""

    type: Literal["debt/v1"]
    terms_hash: Hex32
    entry_id: UUID
    player: Hex32
    reason: DebtReason
    amount: Amount
    payout_hash: Hex32 | None
    """Of the payout preimage that the player handed over; None for debts that are no prize."""
    output: Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}:(0|[1-9][0-9]{0,9})\Z")] | None
    """TXID:VOUT of the contract output that secures a prize."""
    condition: Literal["a confirmed claim of the output on chain ends this debt"] | None


def sign_prize_debt(
    coordinator: SecretKey, entry: Entry, *, amount: Sats, output: OutPoint, created_at: UnixTime
) -> Event:
    """The debt for a payout preimage that was handed over; `output` is the TXID:VOUT that secures the
    prize.
    """
    return _sign_debt(coordinator, entry, DebtReason.PRIZE, amount, str(output), created_at)


def sign_repayment_debt(
    coordinator: SecretKey, entry: Entry, *, reason: DebtReason, amount: Sats, created_at: UnixTime
) -> Event:
    """The debt for a ticket, fee or escrow rest that is to be paid back. Raises InvalidInput for a prize."""
    if reason is DebtReason.PRIZE:
        raise InvalidInput("reason", "a prize is secured by an output", "use sign_prize_debt")
    return _sign_debt(coordinator, entry, reason, amount, None, created_at)


def verify_debt(event: Event, terms: Terms, entry: Entry) -> DebtReceipt:
    """A debt receipt for this entry. Raises as verify_reservation."""
    receipt = open_document(event, DEBT_RECEIPT_KIND, DebtReceipt, coordinator_key(terms), "receipt", Fault.COORDINATOR)
    is_prize = receipt.reason is DebtReason.PRIZE
    check_bound(
        (
            ("terms_hash", receipt.terms_hash, terms.hash.hex()),
            ("entry_id", receipt.entry_id, entry.id),
            ("player", receipt.player, entry.player.hex()),
            ("payout_hash", receipt.payout_hash, entry.document.payout_hash if is_prize else None),
            ("condition", receipt.condition, CLAIM_ENDS_DEBT if is_prize else None),
            ("output", receipt.output is not None, is_prize),
        )
    )
    return receipt


def _sign_debt(
    coordinator: SecretKey, entry: Entry, reason: DebtReason, amount: Sats, output: str | None, created_at: UnixTime
) -> Event:
    receipt = DebtReceipt(
        type="debt/v1",
        terms_hash=entry.document.terms_hash,
        entry_id=entry.id,
        player=entry.player.hex(),
        reason=reason,
        amount=amount,
        payout_hash=None if output is None else entry.document.payout_hash,
        output=output,
        condition=None if output is None else CLAIM_ENDS_DEBT,
    )
    return sign_document(coordinator, DEBT_RECEIPT_KIND, receipt, created_at)
