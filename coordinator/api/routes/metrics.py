"""GET /metrics: Prometheus' text format, for the holder of the operator's token.

Not for everyone on loopback: behind a reverse proxy every request comes from there.
"""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from coordinator.api.auth import operator_of
from coordinator.api.context import Api
from coordinator.engine.metrics.instruments import CONTENT_TYPE
from coordinator.engine.metrics.money import publish_money
from coordinator.engine.metrics.publishing import publish


@get("/metrics", include_in_schema=False)
async def metrics(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> Response[str]:
    """Every metric as of now."""
    await operator_of(request, api)
    engine = api.engine
    tip = await engine.clock.tip()
    publish_money(engine.vitals.meters, engine.money, engine.clock.wall())
    text = publish(engine.health, height=tip.height, frozen=engine.freezer.frozen is not None)
    return Response(text, headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)
