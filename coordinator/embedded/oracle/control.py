"""Loopback controls that the real oracle does not have: time, weather, allow-lists, failures.

A page in a browser must not reach them: any request that carries an Origin is refused.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from msgspec import Meta, Struct

from coordinator.embedded.oracle.authorization import Role
from coordinator.embedded.oracle.dates import to_unix
from coordinator.embedded.oracle.errors import OracleError, Rejected
from coordinator.embedded.oracle.faults import WriteFault
from coordinator.embedded.oracle.metrics import METRICS
from coordinator.embedded.oracle.npub import parse_public_key
from coordinator.embedded.oracle.requests import decode
from coordinator.embedded.oracle.routes import HttpRequest, answer, served
from coordinator.embedded.oracle.stations import STATIONS
from coordinator.embedded.oracle.weather import ScriptedValue

Seconds = Annotated[int, Meta(ge=0, lt=1 << 32)]
Moment = Seconds | Annotated[datetime, Meta(tz=True)]
Value = Annotated[float, Meta(ge=-1e6, le=1e6)]


class ClockSetting(Struct, frozen=True, forbid_unknown_fields=True):
    """Exactly one of: stand at `now`, go `advance` seconds on, or follow the machine again."""

    now: Moment | None = None
    advance: Seconds | None = None
    follow_machine: bool = False


class Observed(Struct, frozen=True, forbid_unknown_fields=True):
    """A report of a station."""

    station_id: str
    metric: str
    time: Moment
    value: Value | None


class Forecast(Struct, frozen=True, forbid_unknown_fields=True):
    """A forecast for a moment; issued now unless said otherwise."""

    station_id: str
    metric: str
    time: Moment
    value: Value | None
    issued_at: Moment | None = None


class WeatherScript(Struct, frozen=True, forbid_unknown_fields=True):
    """Weather put in by hand."""

    observations: list[Observed] = []
    forecasts: list[Forecast] = []


class Allowed(Struct, frozen=True, forbid_unknown_fields=True):
    """A key for an allow-list, npub or hex."""

    pubkey: str
    role: Role = Role.COORDINATOR


class FaultSetting(Struct, frozen=True, forbid_unknown_fields=True):
    """How the next writes fail."""

    fault: WriteFault
    count: Annotated[int, Meta(ge=0, le=1_000)] = 1


def refuse_browsers(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
    """Guard of the control routes."""
    if "origin" in connection.headers:
        raise OracleError(403, "controls are not for web pages")


@get("/control/clock", guards=[refuse_browsers])
async def get_clock(request: HttpRequest) -> Response[bytes]:
    """The time events live by."""
    return answer({"now": served(request).oracle.clock.now()})


@post("/control/clock", guards=[refuse_browsers], status_code=200)
async def set_clock(request: HttpRequest) -> Response[bytes]:
    """Set the time, then settle what has come due."""
    setting = decode(await request.body(), ClockSetting)
    oracle = served(request).oracle
    if [setting.now is not None, setting.advance is not None, setting.follow_machine].count(True) != 1:
        raise Rejected("give exactly one of now, advance, follow_machine")
    if setting.follow_machine:
        oracle.clock.set(None)
    elif setting.advance is not None:
        oracle.clock.set(oracle.clock.now() + setting.advance)
    elif setting.now is not None:
        oracle.clock.set(_seconds(setting.now))
    return answer({"now": oracle.clock.now(), "attested": oracle.settle()})


@post("/control/observations", guards=[refuse_browsers], status_code=200)
async def script_weather(request: HttpRequest) -> Response[bytes]:
    """Put observations and forecasts in, then settle without waiting."""
    script = decode(await request.body(), WeatherScript)
    oracle = served(request).oracle
    now = oracle.clock.now()
    values = [ScriptedValue(row.station_id, row.metric, _seconds(row.time), row.value) for row in script.observations]
    for row in script.forecasts:
        issued = now if row.issued_at is None else _seconds(row.issued_at)
        if issued > now:
            raise Rejected("a forecast cannot be issued in the future")
        values.append(ScriptedValue(row.station_id, row.metric, _seconds(row.time), row.value, issued))
    for value in values:
        if value.station_id not in STATIONS or value.metric not in METRICS:
            raise Rejected(f"unknown station or metric: {value.station_id}/{value.metric}")
    oracle.store.script(values)
    return answer({"stored": len(values), "attested": oracle.settle(impatient=True)})


@post("/control/settle", guards=[refuse_browsers], status_code=200)
async def settle(request: HttpRequest) -> Response[bytes]:
    """Process what is due, without waiting out earlier failures."""
    return answer({"attested": served(request).oracle.settle(impatient=True)})


@post("/control/allow", guards=[refuse_browsers], status_code=200)
async def allow(request: HttpRequest) -> Response[bytes]:
    """Put a key on an allow-list, for good."""
    wanted = decode(await request.body(), Allowed)
    key = parse_public_key(wanted.pubkey)
    if key is None:
        raise Rejected("pubkey must be npub1... or 64 hex digits")
    here = served(request)
    keys = here.authorizer.allowed[wanted.role]
    keys.add(key)
    here.oracle.store.set_setting(f"allowed.{wanted.role}", b"".join(sorted(keys)))
    return answer({"allowed": len(keys)})


@post("/control/faults", guards=[refuse_browsers], status_code=200)
async def set_faults(request: HttpRequest) -> Response[bytes]:
    """Let the next writes fail."""
    setting = decode(await request.body(), FaultSetting)
    served(request).faults.set(setting.fault, setting.count)
    return answer({"fault": setting.fault, "count": setting.count})


CONTROL_ROUTES = [get_clock, set_clock, script_weather, settle, allow, set_faults]


def _seconds(moment: int | datetime) -> int:
    return to_unix(moment) if isinstance(moment, datetime) else moment
