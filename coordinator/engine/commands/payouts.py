"""Payouts as winners ask for them: atomic or plain BOLT11; the entry key only after payment (money section 6)."""

from __future__ import annotations

import hashlib

import msgspec

from coordinator.domain.competitions import settling
from coordinator.domain.competitions.states import (
    Competition,
    DeltaBroadcasted,
    ExpiryBroadcasted,
    OutcomeBroadcasted,
)
from coordinator.domain.facts import Entry, EntryKeyHeld, Fact, Payout, PreimageHeld, PrizeState
from coordinator.domain.lane import Lane
from coordinator.engine.commands.tickets import ticket_of
from coordinator.engine.entries import signed_entry
from coordinator.engine.submit import Conflict, Decide, Decision
from coordinator_core.bolt11 import Invoice
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.receipts.debt import sign_prize_debt
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint
from coordinator_core.units import UnixTime

SECONDS_PER_BLOCK = 600
LEAST_INVOICE_SECONDS = 60


def prize_of(state: Competition, lane: Lane, entry_id: str) -> settling.Prize | None:
    """The prize of an entry, once the outcome is known; None when it won nothing."""
    if not isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        return None
    return next((p for p in settling.prizes(lane, state) if p.share.entry_id == entry_id), None)


def window_end(state: Competition, lane: Lane) -> UnixTime:
    """Wall time that a payout's invoice has to last: the end of the Lightning window at ten minutes a block."""
    if not isinstance(state, OutcomeBroadcasted | ExpiryBroadcasted | DeltaBroadcasted):
        return lane.world.wall
    return UnixTime(lane.world.wall + max(0, settling.lightning_window(lane, state)) * SECONDS_PER_BLOCK)


def ask(
    player: str,
    entry_id: str,
    invoice: Invoice,
    request: str,
    preimage: Secret | None,
    signer: SecretKey,
    output: OutPoint,
) -> Decide:
    """A winner asks to be paid. One live payout an entry; a payment hash belongs to one prize for ever."""

    def decide(state: Competition, lane: Lane) -> Decision:
        ticket_of(lane, entry_id, player)
        prize = _claimable(state, lane, entry_id)
        entry = lane.facts.get(Entry, entry_id)
        if entry is None:
            raise InvalidInput("entry", "was never signed", "nothing can be paid", fault=Fault.PLAYER)
        payment_hash = invoice.payment_hash.hex()
        atomic = payment_hash == entry.payout_hash
        _check_invoice(state, lane, invoice, prize, atomic=atomic)
        facts: list[Fact] = []
        debt: object = None
        if not atomic:
            _check_preimage(preimage, entry)
            core_entry = signed_entry(lane, entry_id)
            receipt = sign_prize_debt(
                signer, core_entry, amount=prize.share.net, output=output, created_at=lane.world.wall
            )
            debt = msgspec.json.decode(receipt.to_json())
            facts.append(PreimageHeld(entry_id=entry_id))
        payout = Payout(
            entry_id=entry_id,
            payment_hash=payment_hash,
            payment_request=request,
            amount=prize.share.net,
            atomic=atomic,
            state=PrizeState.PAYING,
            expires_at=invoice.expires_at,
        )
        owner = (f"payout:{payment_hash}", f"prize/{entry_id}", "payment_request")
        return Decision([*facts, payout], {"state": PrizeState.PAYING.value, "debt_receipt": debt}, [owner])

    return decide


def _claimable(state: Competition, lane: Lane, entry_id: str) -> settling.Prize:
    prize = prize_of(state, lane, entry_id)
    if prize is None:
        raise Conflict("entry", "has no prize to be paid now", "read the payout status", fault=Fault.PLAYER)
    if prize.state is not PrizeState.CLAIMABLE:
        raise Conflict("entry", f"is {prize.state.value}", "read the payout status", fault=Fault.PLAYER)
    return prize


def _check_invoice(state: Competition, lane: Lane, invoice: Invoice, prize: settling.Prize, *, atomic: bool) -> None:
    net = prize.share.net
    if invoice.amount != net * 1_000:
        raise InvalidInput("payment_request", "is over another amount", f"exactly {net} sat", fault=Fault.PLAYER)
    ends = invoice.expires_at
    least = window_end(state, lane) if atomic else lane.world.wall + LEAST_INVOICE_SECONDS
    if ends < least:
        # An atomic invoice has the one payout hash: after its expiry Lightning takes no second one.
        fix = f"let it be valid for at least {least - lane.world.wall} s"
        raise InvalidInput("payment_request", "expires too early", fix, fault=Fault.PLAYER)


def _check_preimage(preimage: Secret | None, entry: Entry) -> None:
    if preimage is None:
        fix = "give the payout preimage, or an invoice on your payout hash"
        raise InvalidInput("payout_preimage", "is missing", fix, fault=Fault.PLAYER)
    if hashlib.sha256(preimage.reveal()).hexdigest() != entry.payout_hash:
        raise InvalidInput(
            "payout_preimage", "does not open the payout hash", "the 32 bytes you hold", fault=Fault.PLAYER
        )


def give_entry_key(player: str, entry_id: str, key: SecretKey) -> Decide:
    """A paid winner gives the entry key of the contract's attempt, so that the output is closed for less fees."""

    def decide(state: Competition, lane: Lane) -> Decision:
        ticket_of(lane, entry_id, player)
        prize = prize_of(state, lane, entry_id)
        if prize is None or prize.state is not PrizeState.PAID:
            raise Conflict("entry", "is not paid", "give the key only after the payment", fault=Fault.PLAYER)
        attempt = getattr(state, "attempt", 0)
        if signed_entry(lane, entry_id).key(attempt) != key.public_key:
            raise InvalidInput("entry_key", f"is not the key of attempt {attempt}", "that one", fault=Fault.PLAYER)
        return Decision([EntryKeyHeld(entry_id=entry_id)], {"accepted": True})

    return decide
