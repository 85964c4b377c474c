"""The public routes: translate requests into calls of the oracle, and its results into answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
from litestar import Request, Response, get, post
from litestar.exceptions import HTTPException
from msgspec import Struct

from coordinator.embedded.oracle import planning
from coordinator.embedded.oracle.authorization import Authorizer, Role
from coordinator.embedded.oracle.authorization import Request as SignedRequest
from coordinator.embedded.oracle.errors import AuthError, AuthFailure, Rejected
from coordinator.embedded.oracle.faults import Faults
from coordinator.embedded.oracle.lines import WINDOW_HOURS, LinesMissing, current_lines
from coordinator.embedded.oracle.metrics import (
    DEFAULT_METRICS,
    METRICS,
    NOAA_WEATHER,
    SOURCE,
    is_valid_target,
)
from coordinator.embedded.oracle.npub import encode_npub
from coordinator.embedded.oracle.requests import AddEventEntries, CreateEvent, decode
from coordinator.embedded.oracle.service import MAX_LIST, Oracle
from coordinator.embedded.oracle.stations import STATIONS

MAX_LINE_TARGETS = 50


class Served(Struct, frozen=True):
    """What the routes work on."""

    oracle: Oracle
    authorizer: Authorizer
    faults: Faults


HttpRequest = Request[Any, Any, Any]


def served(request: HttpRequest) -> Served:
    """The oracle behind this application."""
    return request.app.state.served


def answer(value: object, status: int = 200) -> Response[bytes]:
    """A value as JSON."""
    return Response(msgspec.json.encode(value), status_code=status, media_type="application/json")


@get("/oracle/pubkey")
async def get_pubkey(request: HttpRequest) -> Response[bytes]:
    """The attestation key, 33 bytes in base64."""
    return answer({"key": served(request).oracle.key.public_key})


@get("/oracle/npub")
async def get_npub(request: HttpRequest) -> Response[bytes]:
    """The attestation key without its parity, as npub."""
    return answer({"key": encode_npub(served(request).oracle.key.x_only)})


@get("/oracle/sources")
async def get_sources() -> Response[bytes]:
    """The data sources events can name."""
    return answer([NOAA_WEATHER])


@get("/oracle/lines")
async def get_lines(request: HttpRequest) -> Response[bytes]:
    """The lines that an event created now would copy."""
    query = _query(request)
    targets = _names(query.get("targets", ""))
    metrics = _names(query.get("metrics", ",".join(DEFAULT_METRICS)))
    _check_line_query(query, targets, metrics)
    oracle = served(request).oracle
    try:
        lines = current_lines(oracle.weather, targets, metrics, oracle.clock.now())
    except LinesMissing as error:
        return answer({"lines": [], "missing": error.pairs})
    return answer({"lines": lines, "missing": []})


@get("/oracle/events")
async def list_events(request: HttpRequest) -> Response[bytes]:
    """Summaries, newest first."""
    query = _query(request)
    limit = query.get("limit", str(MAX_LIST))
    if not limit.isascii() or not limit.isdigit():
        raise Rejected("invalid event filter: limit must be a number")
    ids = [_uuid(name, "invalid event filter") for name in _names(query.get("event_ids", ""))]
    shown = min(max(int(limit[:9]), 1), MAX_LIST)
    return answer(served(request).oracle.events(ids[:MAX_LIST], shown))


@get("/oracle/events/{event_id:str}")
async def get_event(request: HttpRequest) -> Response[bytes]:
    """One event."""
    return answer(served(request).oracle.event(_path_id(request, "event_id")))


@get("/oracle/events/{event_id:str}/entries/{entry_id:str}")
async def get_entry(request: HttpRequest) -> Response[bytes]:
    """One entry."""
    ids = _path_id(request, "event_id"), _path_id(request, "entry_id")
    return answer(served(request).oracle.entry(*ids))


@post("/oracle/events", status_code=200)
async def create_event(request: HttpRequest) -> Response[bytes]:
    """Create an event; for coordinators."""
    here = served(request)
    signer, body = await _authorized(request, Role.COORDINATOR)
    created = decode(body, CreateEvent)
    fault = here.faults.before_write()
    view = await here.oracle.create_event(signer, created)
    await here.faults.after_write(fault)
    return answer(view)


@post("/oracle/events/{event_id:str}/entries", status_code=200)
async def add_entries(request: HttpRequest) -> Response[bytes]:
    """Submit all entries of an event; for the coordinator that created it."""
    here = served(request)
    signer, body = await _authorized(request, Role.COORDINATOR)
    entries = decode(body, AddEventEntries)
    fault = here.faults.before_write()
    views = here.oracle.add_entries(signer, _path_id(request, "event_id"), entries)
    await here.faults.after_write(fault)
    return answer(views)


@post("/oracle/update", status_code=202)
async def update(request: HttpRequest) -> Response[bytes]:
    """Process what is due now; for uploaders."""
    await _authorized(request, Role.UPLOADER)
    served(request).oracle.settle(impatient=True)
    return Response(b"", status_code=202)


@get("/stations")
async def get_stations() -> Response[bytes]:
    """Every station."""
    return answer(list(STATIONS.values()))


@get("/stations/eligible")
async def get_eligible(request: HttpRequest) -> Response[bytes]:
    """Stations fit for a competition."""
    return answer(planning.eligible_stations(_query(request), served(request).oracle.clock.now()))


@get("/stations/eligible/forecasts")
async def get_eligible_forecasts(request: HttpRequest) -> Response[bytes]:
    """Stations fit for a window, with their forecasts."""
    oracle = served(request).oracle
    return answer(planning.eligible_forecasts(_query(request), oracle.weather, oracle.clock.now()))


@get("/stations/window-compatibility")
async def get_window_compatibility(request: HttpRequest) -> Response[bytes]:
    """Whether forecasts cover a window."""
    oracle = served(request).oracle
    return answer(planning.window_compatibility(_query(request), oracle.weather, oracle.clock.now()))


@get("/stations/forecasts")
async def get_forecasts(request: HttpRequest) -> Response[bytes]:
    """Forecasts by station and day."""
    oracle = served(request).oracle
    return answer(planning.forecasts(_query(request), oracle.weather, oracle.clock.now()))


@get("/stations/observations")
async def get_observations(request: HttpRequest) -> Response[bytes]:
    """Observations by station."""
    oracle = served(request).oracle
    return answer(planning.observations(_query(request), oracle.weather, oracle.clock.now()))


@get(["/health", "/ready", "/healthy"])
async def get_health() -> Response[bytes]:
    """The process answers and its store is open."""
    return Response(b"", status_code=200)


PUBLIC_ROUTES = [
    get_pubkey,
    get_npub,
    get_sources,
    get_lines,
    list_events,
    get_event,
    get_entry,
    create_event,
    add_entries,
    update,
    get_stations,
    get_eligible,
    get_eligible_forecasts,
    get_window_compatibility,
    get_forecasts,
    get_observations,
    get_health,
]


async def _authorized(request: HttpRequest, role: Role) -> tuple[bytes, bytes]:
    async def body() -> bytes:
        try:
            return await request.body()
        except HTTPException as error:
            raise AuthError(AuthFailure.BODY) from error

    query = request.scope["query_string"].decode("latin-1")
    target = request.scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
    signed = SignedRequest(request.method, target, request.headers.get("authorization"), body)
    authorizer = served(request).authorizer
    signer, content = await authorizer.authorize(signed)
    authorizer.require(role, signer)
    return signer, content


def _check_line_query(query: planning.Query, targets: list[str], metrics: list[str]) -> None:
    if query.get("source", SOURCE) != SOURCE:
        raise Rejected(f'unknown source "{query["source"]}"; see GET /oracle/sources')
    if not 1 <= len(targets) <= MAX_LINE_TARGETS:
        raise Rejected(f"targets must list between 1 and {MAX_LINE_TARGETS} targets")
    for target in targets:
        if not is_valid_target(target):
            raise Rejected(f'invalid target "{target}"')
    for metric in metrics:
        _check_calibrated(metric)
    hours = query.get("window_hours", str(WINDOW_HOURS))
    if not hours.isascii() or not hours.isdigit() or not 1 <= int(hours[:9]) <= 336:
        raise Rejected("window_hours must be between 1 and 336")


def _check_calibrated(metric: str) -> None:
    if metric not in METRICS:
        raise Rejected(f'unknown metric "{metric}"')
    if not METRICS[metric].calibrated:
        raise Rejected(f"{metric} cannot be scored against lines; use fixed scoring rules")


def _query(request: HttpRequest) -> dict[str, str]:
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name in query:
            raise Rejected(f"duplicate parameter {name}")
        query[name] = value
    return query


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _path_id(request: HttpRequest, name: str) -> UUID:
    return _uuid(request.path_params[name], f"invalid {name}")


def _uuid(text: str, what: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Rejected(f"{what}: {text[:64]} is not a UUID") from error
