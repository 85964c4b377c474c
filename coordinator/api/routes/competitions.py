"""Public reads of competitions."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from coordinator.api.context import Api, lane_id
from coordinator.api.documents.competitions import ChainStatus, ContractView, Detail, SignedEntry, Summary
from coordinator.api.operation import described
from coordinator.api.problem import NotThereYet
from coordinator.domain.facts import EntriesPosted, OracleEvent, Pinned, Published
from coordinator.views import competition as views
from coordinator.views.status import counts
from coordinator_core.competition.terms import Terms

PAGE: Final = 100
"""Competitions of one answer: its cost must not grow with how many there ever were."""


@get("/competitions", operation_class=described({200: list[Summary]}))
async def list_competitions(
    api: NamedDependency[Api],
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE)] = PAGE,
    before: Annotated[UUID | None, QueryParameter()] = None,
) -> list[dict[str, Any]]:
    """The newest competitions, or the newest of those that are older than `before`."""
    older = None if before is None else str(before)
    return [
        views.summary(*view) for view in await api.engine.views(await api.engine.store.lanes(limit=limit, before=older))
    ]


@get("/competitions/{competition:uuid}", operation_class=described({200: Detail}))
async def show_competition(api: NamedDependency[Api], competition: FromPath[UUID]) -> dict[str, Any]:
    """One competition: state, who is awaited, transactions."""
    return views.detail(*await api.engine.view(lane_id(competition)), api.engine.new_money())


@get("/competitions/{competition:uuid}/terms", operation_class=described({200: Terms}))
async def show_terms(api: NamedDependency[Api], competition: FromPath[UUID]) -> Response[bytes]:
    """The canonical bytes of the terms: hash them."""
    _, lane = await api.engine.view(lane_id(competition))
    published = lane.facts.get(Published)
    if published is None:
        raise NotThereYet("terms", "are not final yet", "ask again in a moment")
    return Response(published.terms.encode(), media_type="application/json")


@get("/competitions/{competition:uuid}/entries", operation_class=described({200: list[SignedEntry]}))
async def list_entries(api: NamedDependency[Api], competition: FromPath[UUID]) -> list[dict[str, Any]]:
    """Signed entries; picks once they were opened."""
    _, lane = await api.engine.view(lane_id(competition))
    return views.entries(lane)


@get("/competitions/{competition:uuid}/contract", operation_class=described({200: ContractView}))
async def show_contract(api: NamedDependency[Api], competition: FromPath[UUID]) -> dict[str, Any]:
    """Parameters and outpoint of the newest attempt's contract, with the oracle's statement."""
    _, lane = await api.engine.view(lane_id(competition))
    pin = max(lane.facts.all(Pinned), key=lambda fact: fact.attempt, default=None)
    if pin is None:
        raise NotThereYet("contract", "is not pinned yet", "ask again when signing begins")
    posted = lane.facts.get(EntriesPosted, pin.attempt)
    event = lane.facts.get(OracleEvent, pin.attempt)
    return {
        "attempt": pin.attempt,
        "parameters": msgspec.json.decode(await api.engine.services.blob(pin.parameters)),
        "outpoint": f"{pin.funding_txid}:{pin.funding_vout}",
        "event_id": event.event_id if event is not None else None,
        "statement": posted.statement if posted is not None else None,
    }


@get("/status", operation_class=described({200: ChainStatus}))
async def status(api: NamedDependency[Api]) -> dict[str, Any]:
    """Chain, clock and services as the engine sees them, and whether the work goes on."""
    engine = api.engine
    report, money = engine.health.report(), engine.new_money()
    tip = await engine.clock.tip()
    return {
        "tip": tip.height,
        "tip_hash": tip.block_hash,
        "now": await engine.clock.domain(),
        "wall": engine.clock.wall(),
        "away": msgspec.to_builtins(money.away),
        "health": report.status.value,
        "chain_lag": report.work.chain_lag_blocks,
        "competitions": counts(engine.health.progress),
        "frozen": msgspec.to_builtins(money.frozen),
        "settle_only": msgspec.to_builtins(engine.settle_only.since),
        "reconciled": engine.money.reconciliation.is_complete,
    }


handlers = [list_competitions, show_competition, show_terms, list_entries, show_contract, status]
