"""Pages for everyone: the list of competitions, and one competition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any
from uuid import UUID

from litestar import Request, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter
from litestar.types import Guard

from coordinator.api.context import Api, lane_id
from coordinator.api.pages import status as status_page
from coordinator.api.pages.live import Live, LiveBoard
from coordinator.api.pages.market import MarketBoard
from coordinator.api.pages.rendering import entity_tag, html, is_known, render
from coordinator.views import page as views

PAGE_SIZE = 25

PageNumber = Annotated[int, QueryParameter(ge=1, le=1_000_000)]


def _live(url: str, body: str, announcement: str = "", *, refresh: bool = True) -> Live:
    return Live(url, body, entity_tag(f"{refresh}{body}"), announcement, refresh)


@get("/")
async def competitions(
    api: NamedDependency[Api], request: Request[Any, Any, Any], page: PageNumber = 1
) -> Response[str]:
    """All competitions, newest first."""
    live = await _list(api, request, page)
    return html(render(request, "pages/competitions.html", live=live))


@get("/live")
async def competitions_live(
    api: NamedDependency[Api], request: Request[Any, Any, Any], page: PageNumber = 1
) -> Response[str]:
    """The list itself, when it differs from what the browser has."""
    return _fragment(request, await _list(api, request, page))


@get("/competitions/{competition:uuid}")
async def competition(
    api: NamedDependency[Api],
    board: NamedDependency[MarketBoard],
    request: Request[Any, Any, Any],
    competition: FromPath[UUID],
) -> Response[str]:
    """One competition."""
    shown, live = await _competition(api, board, request, competition)
    return html(render(request, "pages/competition.html", competition=shown, live=live))


@get("/competitions/{competition:uuid}/live")
async def competition_live(
    api: NamedDependency[Api],
    board: NamedDependency[MarketBoard],
    shown: NamedDependency[LiveBoard],
    request: Request[Any, Any, Any],
    competition: FromPath[UUID],
) -> Response[str]:
    """What changes of a competition, when it differs from what the browser has."""

    async def make() -> Live:
        _, live = await _competition(api, board, request, competition)
        return live

    return _fragment(request, await shown.look(api.engine.wakeups, lane_id(competition), make))


async def _list(api: Api, request: Request[Any, Any, Any], number: int) -> Live:
    lanes = await api.engine.store.lanes()
    start = (number - 1) * PAGE_SIZE
    rows = [views.summary(*view) for view in await api.engine.views(lanes[start : start + PAGE_SIZE])]
    pages = max(1, -(-len(lanes) // PAGE_SIZE))
    body = render(request, "fragments/competitions.html", rows=rows, number=number, pages=pages)
    return _live("/live" if number == 1 else f"/live?page={number}", body)


async def _competition(
    api: Api, board: MarketBoard, request: Request[Any, Any, Any], competition: UUID
) -> tuple[views.Detail, Live]:
    state, lane = await api.engine.view(lane_id(competition))
    market = await board.look(api) if views.needs_market(state) else None
    shown = views.detail(state, lane, replace(api.engine.new_money(), market=market))
    body = render(request, "fragments/competition.html", competition=shown)
    url = f"/competitions/{competition}/live"
    return shown, _live(url, body, shown.announcement, refresh=not shown.ended)


def _fragment(request: Request[Any, Any, Any], live: Live) -> Response[str]:
    if is_known(request, live.tag):
        answer = html("", status=304)
    else:
        answer = html(render(request, "fragments/live.html", live=live))
    answer.headers["etag"] = live.tag
    return answer


def router(guards: Sequence[Guard]) -> Router:
    """Every public page, behind `guards`. They are no part of the API's schema."""
    board, shown = MarketBoard(), LiveBoard()
    return Router(
        "/",
        route_handlers=[competitions, competitions_live, competition, competition_live, status_page.status],
        dependencies={
            "board": Provide(lambda: board, sync_to_thread=False),
            "shown": Provide(lambda: shown, sync_to_thread=False),
        },
        guards=guards,
        include_in_schema=False,
    )
