"""What the operator's command line asks for; loopback and a bearer token."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

from litestar import Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from coordinator.api.auth import operator_of
from coordinator.api.bodies import read_body
from coordinator.api.context import Api, idempotency_key, lane_id
from coordinator.api.documents import operator as documents
from coordinator.api.operation import Who, described
from coordinator.engine.commands.create import create_competition
from coordinator.engine.commands.preview import preview
from coordinator.views.address import taproot_address
from coordinator.views.books import chain_rows, lightning_rows
from coordinator.views.budget import budget_table
from coordinator_core.errors import Fault

OPERATOR = Who.OPERATOR


@post(
    "/operator/competitions",
    status_code=201,
    operation_class=described({201: documents.Created}, who=OPERATOR, takes=documents.DraftBody, command=True),
)
async def create(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, str]:
    """Create a competition from a draft."""
    await operator_of(request, api)
    api.engine.settle_only.require_off()
    draft = (await read_body(request, documents.DraftBody, Fault.COORDINATOR)).draft
    dkey = idempotency_key(request) or secrets.token_hex(16)
    engine = api.engine
    observer = engine.services.observer
    return {"id": await create_competition(engine.store, engine.clock, engine.wakeups, draft, dkey, observer)}


@post(
    "/operator/budget",
    status_code=200,
    operation_class=described({200: documents.BudgetTable}, who=OPERATOR, takes=documents.DraftBody),
)
async def draft_budget(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, Any]:
    """What a draft would cost and pay if it were published now, and what speaks against it. Writes nothing."""
    await operator_of(request, api)
    draft = (await read_body(request, documents.DraftBody, Fault.COORDINATOR)).draft
    return budget_table(await preview(api.engine.services, draft), draft.scoring)


@get(
    "/operator/competitions/{competition:uuid}/books",
    operation_class=described({200: documents.Books}, who=OPERATOR),
)
async def books(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, int]:
    """The Lightning side of a competition's books, by account."""
    await operator_of(request, api)
    _, lane = await api.engine.view(lane_id(competition))
    return {row.account: row.amount for row in (*lightning_rows(lane), *chain_rows(lane))}


@get(
    "/operator/competitions/{competition:uuid}/log",
    operation_class=described({200: documents.Log}, who=OPERATOR),
)
async def transition_log(
    api: NamedDependency[Api], request: Request[Any, Any, Any], competition: FromPath[UUID]
) -> dict[str, Any]:
    """Transitions and open duties."""
    await operator_of(request, api)
    lane = lane_id(competition)
    rows = await api.engine.store.transitions(lane)
    open_duties = await api.engine.store.open_duties(lane)
    return {
        "transitions": [{"from": r.from_state, "to": r.to_state, "reason": r.reason, "at": r.at} for r in rows],
        "duties": [{"kind": k, "id": i, "attempts": n, "error": e} for k, i, n, e in open_duties],
    }


@post(
    "/operator/wallet/address",
    status_code=200,
    operation_class=described({200: documents.Deposit}, who=OPERATOR),
)
async def deposit_address(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, str]:
    """An address of the coordinator's on-chain wallet, to fund it."""
    await operator_of(request, api)
    script = await api.engine.services.wallet.script_for("operator", "deposit")
    return {"script": script.hex(), "address": taproot_address(script, api.network)}


@get("/operator/wallet", operation_class=described({200: documents.Funds}, who=OPERATOR))
async def wallet_balance(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, int]:
    """Confirmed coins that nobody reserved, and what Lightning can send, in satoshi."""
    await operator_of(request, api)
    services = api.engine.services
    return {
        "onchain_free": await services.wallet.balance(),
        "onchain_total": await services.wallet.total(),
        "lightning_outbound": (await services.lightning.liquidity()).outbound,
    }


@get("/operator/identity", operation_class=described({200: documents.Identity}, who=OPERATOR))
async def identity(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> dict[str, str]:
    """The coordinator's public Nostr key: what an oracle puts on its list."""
    await operator_of(request, api)
    return {"nostr_public_key": api.receipt_key.x_only.hex()}


handlers = [identity, draft_budget, create, books, transition_log, deposit_address, wallet_balance]
