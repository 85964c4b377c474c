"""GET /readyz: whether the node and Lightning can be worked with, one sentence for each that cannot."""

from __future__ import annotations

from litestar import Response, get
from litestar.di import NamedDependency

from coordinator.api.context import Api
from coordinator.api.examinations import Readiness, ServiceReadiness
from coordinator.engine.examination import ENGINE

STOPPING = Readiness(False, (ServiceReadiness(ENGINE, False, "", "it is stopping", ""),))


@get("/readyz", include_in_schema=False)
async def readyz(api: NamedDependency[Api]) -> Response[Readiness]:
    """200 when everything can be worked with, 503 otherwise. Sentences for the operator, no secrets."""
    # Services are not asked any more, and what was found before does not count, once we stop.
    found = STOPPING if api.door.is_closed else await api.examinations.readiness()
    return Response(found, status_code=200 if found.ready else 503, headers={"Cache-Control": "no-store"})
