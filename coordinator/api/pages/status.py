"""The page that says how this coordinator is; everyone may look."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.di import NamedDependency

from coordinator.api.context import Api
from coordinator.api.pages.rendering import html, render
from coordinator.views import status as views


@get("/status")
async def status(api: NamedDependency[Api], request: Request[Any, Any, Any]) -> Response[str]:
    """As last sampled: asks no service."""
    health = api.engine.health
    shown = views.page(health.report(), api.engine.new_money(), health.progress, health.clock.wall())
    return html(render(request, "pages/status.html", shown=shown))
