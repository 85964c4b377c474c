"""GET /livez and /healthz: that the event loop turns, and whether the work goes on."""

from __future__ import annotations

from litestar import MediaType, Response, get
from litestar.di import NamedDependency

from coordinator.api.context import Api
from coordinator.engine.health import Report, Status

_UNCACHED = {"Cache-Control": "no-store"}


@get("/livez", include_in_schema=False)
async def livez() -> Response[str]:
    """200 while the event loop turns: otherwise nobody answers."""
    return Response("ok\n", media_type=MediaType.TEXT, headers=_UNCACHED)


@get("/healthz", include_in_schema=False)
async def healthz(api: NamedDependency[Api]) -> Response[Report]:
    """200 for ok and degraded, 503 when nothing moves. No ids, no secrets."""
    report = api.engine.health.report()
    return Response(report, status_code=503 if report.status is Status.UNHEALTHY else 200, headers=_UNCACHED)
