"""The closing: status, join, ready, approvals."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from coordinator.api.context import Api, hex_bytes, lane_id
from coordinator.domain.facts import BatchSigned, Ticket
from coordinator.engine.commands import closing as commands
from coordinator.engine.commands.tickets import ticket_of
from coordinator.views.closing import keymeld_status
from coordinator_core.competition.picks import Pick
from coordinator_core.errors import Fault, InvalidInput

MAX_PICKS = 800


class Join(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST keymeld/join."""

    entry_id: UUID
    attempt: int
    registration: msgspec.Raw
    ciphertext: str
    salt: str
    picks: Annotated[tuple[Pick, ...], msgspec.Meta(max_length=MAX_PICKS)]


class ReadyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST keymeld/ready."""

    entry_id: UUID
    attempt: int
    sessions: Annotated[tuple[str, ...], msgspec.Meta(max_length=100)]


class Approvals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of POST keymeld/approvals."""

    entry_id: UUID
    attempt: int
    approvals: Annotated[tuple[commands.GivenApproval, ...], msgspec.Meta(min_length=1, max_length=100)]


async def _body(request: Request[Any, Any, Any], kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.ValidationError as error:
        raise InvalidInput("body", str(error), "see the API's schema", fault=Fault.PLAYER) from error
    except msgspec.DecodeError as error:
        raise InvalidInput("body", "is not JSON", "send JSON", fault=Fault.PLAYER) from error


@get("/competitions/{competition:uuid}/keymeld/status")
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


@post("/competitions/{competition:uuid}/keymeld/join", status_code=200)
async def join(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Hand over the sealed key of an attempt and open the picks."""
    player = await api.player(request)
    body: Join = await _body(request, Join)
    decide = commands.join(
        player.hex(),
        str(body.entry_id),
        body.attempt,
        bytes(body.registration).decode(),
        body.ciphertext,
        hex_bytes({"salt": body.salt}, "salt", 32),
        body.picks,
    )
    return await api.command(request, lane_id(competition), f"join/{body.attempt}/{body.entry_id}", decide, player)


@post("/competitions/{competition:uuid}/keymeld/ready", status_code=200)
async def ready(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Say that every item of every open batch was compared with one's own contract."""
    player = await api.player(request)
    body: ReadyBody = await _body(request, ReadyBody)
    decide = commands.ready(player.hex(), str(body.entry_id), body.attempt, body.sessions)
    return await api.command(request, lane_id(competition), f"ready/{body.attempt}/{body.entry_id}", decide, player)


@post("/competitions/{competition:uuid}/keymeld/approvals", status_code=200)
async def approvals(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Hand over approvals of all open batches."""
    player = await api.player(request)
    body: Approvals = await _body(request, Approvals)
    decide = commands.approve(player.hex(), str(body.entry_id), body.attempt, body.approvals)
    return await api.command(request, lane_id(competition), f"approve/{body.attempt}/{body.entry_id}", decide, player)


@get("/competitions/{competition:uuid}/keymeld/sessions")
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
