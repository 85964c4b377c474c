"""Tickets: reserve, renew, hand the signed entry in (money section 3)."""

from __future__ import annotations

import hashlib
from uuid import UUID

import msgspec

from coordinator.domain.competitions.states import CollectingEntries, Competition
from coordinator.domain.facts import Entry, HoldState, Invoice, Ticket
from coordinator.domain.lane import Lane
from coordinator.domain.seats import seated
from coordinator.engine.new_money import NewMoney
from coordinator.engine.submit import Conflict, Decide, Decision
from coordinator_core.competition.entries import verify_entry
from coordinator_core.competition.holds import INVOICE_SECONDS
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.entry import sign_entry_receipt
from coordinator_core.receipts.reservation import sign_reservation
from coordinator_core.secp256k1 import SecretKey

MAX_OPEN_RESERVATIONS = 4
"""Reservations for each seat that may be open at once: late payments are canceled, squatters do not block."""


class ReservationLapsed(Conflict):
    """Nobody signed in time: the price of a reservation holds as long as an invoice would."""

    code = "competition.reservation_lapsed"


def ticket_of(lane: Lane, entry_id: str, player: str) -> Ticket:
    """A player's own ticket. Raises InvalidInput for another's or an unknown one: the same words for both."""
    ticket = lane.facts.get(Ticket, entry_id)
    if ticket is None or ticket.player != player:
        raise InvalidInput("entry", "is not one of yours", "reserve a ticket first", fault=Fault.PLAYER)
    return ticket


def _require_open(state: Competition, lane: Lane) -> None:
    if not isinstance(state, CollectingEntries):
        raise Conflict("competition", "takes no entries now", "choose one that is open", fault=Fault.PLAYER)
    if lane.world.now >= lane.terms.schedule.entries_close:
        raise Conflict("competition", "entries have closed", "choose one that is open", fault=Fault.PLAYER)


def _require_seat(lane: Lane) -> None:
    if len(seated(lane)) >= lane.terms.entries.maximum:
        raise Conflict("competition", "all seats are taken", "choose another one", fault=Fault.PLAYER)


def _open_reservations(lane: Lane) -> int:
    """Reservations that nobody followed up yet; one that is older than an invoice lasts holds up no other."""
    since = lane.world.wall - INVOICE_SECONDS
    return sum(lane.invoice_of(ticket) is None and ticket.reserved_at > since for ticket in lane.facts.all(Ticket))


def reserve(entry_id: UUID, player: bytes, ticket_hash: bytes, money: NewMoney, signer: SecretKey) -> Decide:
    """A reservation: price fixed, receipt signed. The invoice exists only after the signed entry came."""

    def decide(state: Competition, lane: Lane) -> Decision:
        _require_open(state, lane)
        money.require_unbarred()
        _require_seat(lane)
        if _open_reservations(lane) >= MAX_OPEN_RESERVATIONS * lane.terms.entries.maximum:
            raise Conflict(
                "competition", "too many reservations are open", "try again in ten minutes", fault=Fault.PLAYER
            )
        ticket = _ticket(lane, entry_id, player, ticket_hash, money, signer, generation=1)
        return Decision([ticket], _answer(ticket), [(f"hash:{ticket_hash.hex()}", f"ticket/{entry_id}", "ticket_hash")])

    return decide


def renew(entry_id: UUID, player: bytes, ticket_hash: bytes, money: NewMoney, signer: SecretKey) -> Decide:
    """The next generation of a ticket whose invoice was not paid: new hash, new price, same entry id and picks.

    It takes a seat that is free like a reservation; who has one keeps it and its ticket.
    """

    def decide(state: Competition, lane: Lane) -> Decision:
        _require_open(state, lane)
        old = ticket_of(lane, str(entry_id), player.hex())
        invoice = lane.invoice_of(old)
        if invoice is not None and invoice.state is HoldState.ACCEPTED:
            raise Conflict("entry", "is paid already", "nothing to do", fault=Fault.PLAYER)
        if invoice is not None and invoice.state is HoldState.OPEN and lane.world.wall < invoice.expires_at:
            raise Conflict("entry", "has an invoice that can still be paid", "pay it", fault=Fault.PLAYER)
        _require_seat(lane)
        ticket = _ticket(lane, entry_id, player, ticket_hash, money, signer, generation=old.generation + 1)
        return Decision([ticket], _answer(ticket), [(f"hash:{ticket_hash.hex()}", f"ticket/{entry_id}", "ticket_hash")])

    return decide


def _ticket(
    lane: Lane,
    entry_id: UUID,
    player: bytes,
    ticket_hash: bytes,
    money: NewMoney,
    signer: SecretKey,
    *,
    generation: int,
) -> Ticket:
    price = money.price(lane.terms)
    receipt = sign_reservation(
        signer,
        lane.terms,
        entry_id=entry_id,
        player=player,
        ticket_hash=ticket_hash,
        price=price,
        created_at=lane.world.wall,
    )
    return Ticket(
        entry_id=str(entry_id),
        player=player.hex(),
        generation=generation,
        ticket_hash=ticket_hash.hex(),
        entry_fee=price.entry_fee,
        coordinator_fee=price.coordinator_fee,
        network_fee=price.network_fee,
        reserved_at=lane.world.wall,
        receipt=receipt.to_json().decode(),
    )


def _answer(ticket: Ticket) -> dict[str, object]:
    return {
        "entry_id": ticket.entry_id,
        "generation": ticket.generation,
        "receipt": msgspec.json.decode(ticket.receipt),
    }


def hand_in(
    entry_id: UUID, player: bytes, event: Event, money: NewMoney, signer: SecretKey, own_keys: tuple[bytes, ...]
) -> Decide:
    """The signed entry of the present generation. Keys and hashes are unique over all competitions for ever.

    While new money pauses none is taken: the invoice would be next. The same entry again only gets its answer.
    """

    def decide(state: Competition, lane: Lane) -> Decision:
        ticket = ticket_of(lane, str(entry_id), player.hex())
        entry = verify_entry(
            event,
            terms_hash=lane.terms.hash,
            entry_id=entry_id,
            ticket_hash=bytes.fromhex(ticket.ticket_hash),
            author=player,
        )
        receipt = msgspec.json.decode(sign_entry_receipt(signer, entry, ticket.reserved_at).to_json())
        answer: dict[str, object] = {"entry_receipt": receipt, "payment_hash": ticket.ticket_hash}
        known = lane.facts.get(Entry, ticket.entry_id)
        # By its id: a player that signs the same entry again, as ours does, draws another signature.
        if known is not None and msgspec.json.decode(known.signed_event, type=Event).id == event.id:
            return Decision([], answer)
        _require_open(state, lane)
        _require_fresh(ticket, lane)
        money.price(lane.terms)
        _require_same_player_values(known, entry.keys, entry.payout_hash, entry.slot_key, entry.commitment)
        if any(key[-32:] in {own[-32:] for own in own_keys} for key in (*entry.keys, entry.slot_key)):
            raise InvalidInput("entry", "uses a key of the coordinator", "make fresh keys", fault=Fault.PLAYER)
        fact = Entry(
            entry_id=ticket.entry_id,
            generation=ticket.generation,
            ticket_hash=ticket.ticket_hash,
            entry_keys=tuple(key.hex() for key in entry.keys),
            payout_hash=entry.payout_hash.hex(),
            slot_key=entry.slot_key.hex(),
            commitment=entry.commitment.hex(),
            signed_event=event.to_json().decode(),
        )
        return Decision([fact], answer, _resources(fact))

    return decide


def _require_fresh(ticket: Ticket, lane: Lane) -> None:
    """Else a reservation would be an option on the network fee, for as long as tickets are sold."""
    if lane.world.wall >= ticket.reserved_at + INVOICE_SECONDS:
        raise ReservationLapsed(
            "entry", "was reserved more than ten minutes ago", "renew it: the price may be another", fault=Fault.PLAYER
        )


def _require_same_player_values(
    known: Entry | None, keys: tuple[bytes, ...], payout_hash: bytes, slot_key: bytes, commitment: bytes
) -> None:
    if known is None:
        return
    before = (known.entry_keys, known.payout_hash, known.slot_key, known.commitment)
    now = (tuple(key.hex() for key in keys), payout_hash.hex(), slot_key.hex(), commitment.hex())
    if before != now:
        reason = "changes keys, payout hash or picks of an entry"
        raise InvalidInput("entry", reason, "a renewal only changes the ticket hash", fault=Fault.PLAYER)


def _resources(entry: Entry) -> list[tuple[str, str, str]]:
    owner = f"entry/{entry.entry_id}"
    keys = [(f"key:{key[2:]}", owner, f"entry.entry_keys[{i}]") for i, key in enumerate(entry.entry_keys)]
    slot = (f"key:{entry.slot_key[2:]}", f"{owner}/slot", "entry.slot_key")
    payout = (f"hash:{entry.payout_hash}", f"{owner}/payout", "entry.payout_hash")
    return [*keys, slot, payout]


def invoice_answer(lane: Lane, entry_id: str) -> dict[str, object] | None:
    """The invoice of a ticket's present generation, once it exists."""
    ticket = lane.facts.get(Ticket, entry_id)
    invoice = None if ticket is None else lane.facts.get(Invoice, ticket.ticket_hash)
    if invoice is None:
        return None
    return {
        "payment_hash": invoice.payment_hash,
        "payment_request": invoice.payment_request,
        "expires_at": invoice.expires_at,
        "state": invoice.state.value,
    }


def preimage_hash(preimage: bytes) -> bytes:
    """SHA256, the payment hash of a preimage."""
    return hashlib.sha256(preimage).digest()
