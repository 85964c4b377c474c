"""Tickets: reserve, renew, hand the signed entry in, look at one's own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath

from coordinator.api.admission import MONEY
from coordinator.api.bodies import read_body
from coordinator.api.context import Api, lane_id
from coordinator.api.documents.tickets import (
    EntryTaken,
    HandIn,
    Invoiced,
    Kit,
    Reservation,
    TicketPreimage,
    TicketView,
)
from coordinator.api.operation import Who, described
from coordinator.api.problem import NotThereYet
from coordinator.domain.facts import EntriesPosted, HoldState, Ticket
from coordinator.domain.seats import seated
from coordinator.engine.commands import tickets
from coordinator.engine.executors.contracts import signed_contract
from coordinator.engine.executors.secret_names import ticket_secret
from coordinator.engine.submit import Conflict
from coordinator.views.debts import debts_of
from coordinator_core.claim_kit.kit import ClaimKit
from coordinator_core.competition.ids import uuid7
from coordinator_core.errors import Fault
from coordinator_core.oracle.statement import parse_statement
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

BASE = "/competitions/{competition:uuid}/entries/{entry:uuid}"
INVOICE_WAIT_SECONDS = 2.0


def _fresh_hash() -> tuple[bytes, dict[str, Secret]]:
    """A ticket hash, and its preimage by its name in the secret store, where it is before the hash is shown."""
    preimage = Secret.random(32)
    ticket_hash = tickets.preimage_hash(preimage.reveal())
    return ticket_hash, {ticket_secret(ticket_hash.hex()): preimage}


@post(
    "/competitions/{competition:uuid}/entries",
    status_code=201,
    opt=MONEY,
    operation_class=described({201: Reservation}, who=Who.OWNER, command=True),
)
async def reserve(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Reserve a ticket: entry id and signed receipt."""
    player = await api.player(request)
    lane = lane_id(competition)
    await api.engine.view(lane)
    entry_id = uuid7(UnixTime(api.engine.clock.wall()))
    ticket_hash, secrets = _fresh_hash()
    decide = tickets.reserve(entry_id, player, ticket_hash, await api.new_money(player), api.receipt_key)
    return await api.command(request, lane, "reserve", decide, player, secrets=secrets)


@post(
    f"{BASE}/renewal",
    status_code=201,
    opt=MONEY,
    operation_class=described({201: Reservation}, who=Who.OWNER, command=True),
)
async def renew(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """The next generation of an unpaid ticket."""
    player = await api.player(request)
    lane = lane_id(competition)
    await api.engine.view(lane)
    ticket_hash, secrets = _fresh_hash()
    decide = tickets.renew(entry, player, ticket_hash, await api.new_money(player), api.receipt_key)
    return await api.command(request, lane, f"renew/{entry}", decide, player, secrets=secrets)


@put(
    BASE,
    opt=MONEY,
    operation_class=described({200: Invoiced, 202: EntryTaken}, who=Who.OWNER, takes=HandIn, command=True),
)
async def hand_in(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> Response[bytes]:
    """Hand the signed entry in; answers with the invoice, or 202 when it takes longer than two seconds."""
    player = await api.player(request)
    lane = lane_id(competition)
    event = (await read_body(request, HandIn)).event
    keys = api.engine.services.secrets
    own = (keys.market_maker_key(lane).public_key, api.receipt_key.public_key)
    decide = tickets.hand_in(entry, player, event, api.engine.new_money(), api.receipt_key, own)
    answer = await api.command(request, lane, f"hand-in/{entry}", decide, player)
    _, view = await api.engine.until(
        lane, lambda _, now: tickets.invoice_answer(now, str(entry)) is not None, INVOICE_WAIT_SECONDS
    )
    invoice = tickets.invoice_answer(view, str(entry))
    if invoice is None:
        return Response(
            msgspec.json.encode({**answer, "retry_after": 2}), status_code=202, media_type="application/json"
        )
    return Response(msgspec.json.encode({**answer, **invoice}), media_type="application/json")


@get(BASE, operation_class=described({200: TicketView}, who=Who.OWNER))
async def show_ticket(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, Any]:
    """One's own ticket."""
    player = await api.player(request)
    state, lane = await api.engine.view(lane_id(competition))
    ticket = tickets.ticket_of(lane, str(entry), player.hex())
    invoice = lane.invoice_of(ticket)
    return {
        "entry_id": ticket.entry_id,
        "generation": ticket.generation,
        "ticket_hash": ticket.ticket_hash,
        "ticket_state": invoice.state.value if invoice is not None else "reserved",
        "payment_request": invoice.payment_request if invoice is not None else None,
        "expires_at": invoice.expires_at if invoice is not None else None,
        "seat": ticket.entry_id in seated(lane),
        "in_roster": ticket.entry_id in getattr(state, "roster", ()),
        "price": _price(ticket),
        "debts": debts_of(lane, ticket.entry_id),
    }


def _price(ticket: Ticket) -> dict[str, int]:
    return {
        "entry_fee": ticket.entry_fee,
        "coordinator_fee": ticket.coordinator_fee,
        "network_fee": ticket.network_fee,
    }


@get(f"{BASE}/ticket", operation_class=described({200: TicketPreimage}, who=Who.OWNER, early=True))
async def show_preimage(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> dict[str, str]:
    """The ticket's preimage, for its owner, once the ticket is settled: the proof of payment that claims need."""
    player = await api.player(request)
    _, lane = await api.engine.view(lane_id(competition))
    ticket = tickets.ticket_of(lane, str(entry), player.hex())
    invoice = lane.invoice_of(ticket)
    if invoice is None or invoice.state is not HoldState.SETTLED:
        raise Conflict("ticket", "is not settled", "ask again once the funding is confirmed", fault=Fault.PLAYER)
    preimage = await api.engine.services.secrets.get(lane.id, ticket_secret(ticket.ticket_hash))
    if preimage is None:
        raise NotThereYet("ticket", "has no preimage here", "use the one in your wallet")
    return {"payment_hash": ticket.ticket_hash, "preimage": preimage.reveal().hex()}


@get(f"{BASE}/kit", operation_class=described({200: Kit}, who=Who.OWNER))
async def show_kit(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID], entry: FromPath[UUID]
) -> Response[bytes]:
    """The claim kit: all a player needs to be paid without the coordinator. From FundingReady on."""
    player = await api.player(request)
    state, lane = await api.engine.view(lane_id(competition))
    ticket = tickets.ticket_of(lane, str(entry), player.hex())
    contract: str | None = getattr(state, "contract", None)
    attempt: int | None = getattr(state, "attempt", None)
    posted = None if attempt is None else lane.facts.get(EntriesPosted, attempt)
    if contract is None or attempt is None or posted is None or ticket.entry_id not in getattr(state, "roster", ()):
        raise NotThereYet("kit", "does not exist yet", "ask again once the contract is signed")
    kit = ClaimKit.build(
        lane.terms,
        entry,
        attempt,
        await signed_contract(api.engine.services, contract),
        parse_statement(posted.statement.encode()),
    )
    return Response(kit.to_json().encode(), media_type="application/json")


handlers = [reserve, renew, hand_in, show_ticket, show_preimage, show_kit]
