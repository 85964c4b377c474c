"""The closing: status, join, ready, approvals."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from coordinator.api.admission import MONEY
from coordinator.api.bodies import read_body
from coordinator.api.context import Api, lane_id
from coordinator.api.documents import closing as documents
from coordinator.api.operation import Who, described
from coordinator.domain.facts import BatchSigned, Ticket
from coordinator.engine.commands import closing as commands
from coordinator.engine.commands.tickets import ticket_of
from coordinator.views.closing import keymeld_status
from coordinator_core.errors import Fault, InvalidInput

OWNER = Who.OWNER


@get(
    "/competitions/{competition:uuid}/keymeld/status",
    operation_class=described({200: documents.KeymeldStatus}, who=OWNER),
)
async def status(
    api: NamedDependency[Api],
    request: Request[Any, Any, Any],
    competition: FromPath[UUID],
    entry: Annotated[UUID, QueryParameter(name="entry")],
) -> dict[str, Any]:
    """What the owner's client needs for its next step of the closing."""
    player = await api.player(request)
    state, lane = await api.engine.view(lane_id(competition))
    ticket_of(lane, str(entry), player.hex())
    return keymeld_status(state, lane, str(entry))


@post(
    "/competitions/{competition:uuid}/keymeld/join",
    status_code=200,
    opt=MONEY,
    operation_class=described({200: documents.Joined}, who=OWNER, takes=documents.Join, command=True),
)
async def join(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Hand over the sealed key of an attempt and open the picks."""
    player = await api.player(request)
    body = await read_body(request, documents.Join)
    decide = commands.join(
        player.hex(),
        str(body.entry_id),
        body.attempt,
        bytes(body.registration).decode(),
        body.ciphertext,
        bytes.fromhex(body.salt),
        body.picks,
    )
    return await api.command(request, lane_id(competition), f"join/{body.attempt}/{body.entry_id}", decide, player)


@post(
    "/competitions/{competition:uuid}/keymeld/ready",
    status_code=200,
    operation_class=described({200: documents.IsReady}, who=OWNER, takes=documents.ReadyBody, command=True),
)
async def ready(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Say that every item of every open batch was compared with one's own contract."""
    player = await api.player(request)
    body = await read_body(request, documents.ReadyBody)
    decide = commands.ready(player.hex(), str(body.entry_id), body.attempt, body.sessions)
    return await api.command(request, lane_id(competition), f"ready/{body.attempt}/{body.entry_id}", decide, player)


@post(
    "/competitions/{competition:uuid}/keymeld/approvals",
    status_code=200,
    operation_class=described({200: documents.Accepted}, who=OWNER, takes=documents.Approvals, command=True),
)
async def approvals(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Hand over approvals of all open batches."""
    player = await api.player(request)
    body = await read_body(request, documents.Approvals)
    lane, entry = lane_id(competition), str(body.entry_id)
    _, view = await api.engine.view(lane)
    ticket_of(view, entry, player.hex())
    given = [one.command() for one in body.approvals]
    sessions = [one.signing_session_id for one in given]
    seen = await commands.evidence(api.engine.services, view, body.attempt, sessions)
    decide = commands.approve(player.hex(), entry, body.attempt, given, seen)
    return await api.command(request, lane, f"approve/{body.attempt}/{entry}", decide, player)


@get(
    "/competitions/{competition:uuid}/keymeld/sessions",
    operation_class=described({200: list[documents.ArchivedSession]}, who=OWNER),
)
async def sessions(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> list[dict[str, Any]]:
    """Archived statuses of every completed signing session, as the gateway gave them. For who has a ticket."""
    player = await api.player(request)
    _, lane = await api.engine.view(lane_id(competition))
    if not any(ticket.player == player.hex() for ticket in lane.facts.all(Ticket)):
        raise InvalidInput("competition", "has no ticket of yours", "reserve one first", fault=Fault.PLAYER)
    return [
        {
            "attempt": signed.attempt,
            "session": signed.session_id,
            "status": msgspec.json.decode(await api.engine.services.blob(signed.status)),
        }
        for signed in lane.facts.all(BatchSigned)
    ]


handlers = [status, join, ready, approvals, sessions]
