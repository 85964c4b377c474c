"""What operators do to a running coordinator; each act with its reason is in the audit log."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from coordinator.api.acting import asked
from coordinator.api.auth import operator_of
from coordinator.api.context import Api, lane_id
from coordinator.api.documents import admin as documents
from coordinator.api.operation import Who, described
from coordinator.engine.operators import dead, lanes
from coordinator.engine.operators.acting import House
from coordinator.engine.operators.attention import attention

OPERATOR = Who.OPERATOR
PAGE = 100


@get("/operator/attention", operation_class=described({200: list[documents.NeedsAttention]}, who=OPERATOR))
async def list_attention(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> list[dict[str, Any]]:
    """What needs a person, why, since when, and what can be done; the oldest first."""
    await operator_of(request, api)
    found = await attention(api.engine.store, api.engine.clock, api.engine.freezer.frozen, api.engine.needs())
    return [_renamed(msgspec.to_builtins(item)) for item in found]


@get("/operator/audit", operation_class=described({200: list[documents.AuditLine]}, who=OPERATOR))
async def audit_log(
    api: NamedDependency[Api],
    request: Request[Any, Any, Any],
    before: Annotated[int | None, QueryParameter(ge=1)] = None,
) -> list[dict[str, Any]]:
    """What operators did, newest first, a hundred lines from before a line on."""
    await operator_of(request, api)
    return [_renamed(msgspec.to_builtins(row)) for row in await api.engine.store.acts(PAGE, before)]


@post(
    "/operator/competitions/{competition:uuid}/retry",
    status_code=200,
    operation_class=described({200: documents.Due}, who=OPERATOR, takes=documents.RetryBody, command=True),
)
async def retry(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Try again now what waits for its next try."""
    by, body = await asked(api, request, documents.RetryBody)
    return msgspec.json.decode(await lanes.retry(_house(api), by, lane_id(competition), body.duty))


@post(
    "/operator/competitions/{competition:uuid}/resume",
    status_code=200,
    operation_class=described({200: documents.Resumed}, who=OPERATOR, takes=documents.ReasonBody, command=True),
)
async def resume(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Let a stopped competition go on, if it does not contradict itself any more."""
    by, _ = await asked(api, request, documents.ReasonBody)
    return msgspec.json.decode(await lanes.resume(_house(api), by, lane_id(competition)))


@post(
    "/operator/competitions/{competition:uuid}/reconcile",
    status_code=200,
    operation_class=described({200: documents.Compared}, who=OPERATOR, takes=documents.ReasonBody, command=True),
)
async def reconcile(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Compare a competition with chain and services again."""
    by, _ = await asked(api, request, documents.ReasonBody)
    return msgspec.json.decode(await lanes.reconcile(_house(api), by, lane_id(competition)))


@post(
    "/operator/competitions/{competition:uuid}/cancel",
    status_code=200,
    operation_class=described({200: documents.CancelNoted}, who=OPERATOR, takes=documents.ReasonBody, command=True),
)
async def cancel(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """End a competition before its funding: at once while entries are open, afterwards when two owners ask for it."""
    by, _ = await asked(api, request, documents.ReasonBody)
    return msgspec.json.decode(await lanes.cancel(_house(api), by, lane_id(competition)))


@post(
    "/operator/duties/reopen",
    status_code=200,
    operation_class=described({200: documents.Reopened}, who=OPERATOR, takes=documents.ReopenBody, command=True),
)
async def reopen(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """Try dead duties again: of a competition, of a kind, one, or all."""
    by, body = await asked(api, request, documents.ReopenBody)
    answer = await dead.reopen(_house(api), by, lane=body.competition or None, kind=body.kind, duty=body.duty)
    return msgspec.json.decode(answer)


@post(
    "/operator/freeze",
    status_code=200,
    operation_class=described({200: documents.FrozenNow}, who=OPERATOR, takes=documents.ReasonBody, command=True),
)
async def freeze(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """No new money until it is let in again; players read the reason."""
    by, _ = await asked(api, request, documents.ReasonBody)
    return msgspec.json.decode(await api.engine.freezer.freeze(by))


@post(
    "/operator/unfreeze",
    status_code=200,
    operation_class=described({200: documents.FrozenNow}, who=OPERATOR, takes=documents.ReasonBody, command=True),
)
async def unfreeze(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """New money may come in again."""
    by, _ = await asked(api, request, documents.ReasonBody)
    return msgspec.json.decode(await api.engine.freezer.unfreeze(by))


def _house(api: Api) -> House:
    return House(api.engine.store, api.engine.clock, api.engine.wakeups, api.engine.services.observer)


def _renamed(item: dict[str, Any]) -> dict[str, Any]:
    return {"competition" if name == "lane" else name: value for name, value in item.items()}


handlers = [list_attention, audit_log, retry, resume, reconcile, cancel, reopen, freeze, unfreeze]
