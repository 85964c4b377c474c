"""The web application: routes, errors, start and stop of the engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.handlers import BaseRouteHandler

from coordinator.api import headers, problem
from coordinator.api.assets import Assets, NotBuilt
from coordinator.api.context import Api
from coordinator.api.door import Doorway
from coordinator.api.operation import openapi
from coordinator.api.pages import public
from coordinator.api.pages.errors import for_people, not_built
from coordinator.api.pages.rendering import template_config
from coordinator.api.parameters import known_only
from coordinator.api.request_log import RequestLog
from coordinator.api.routes import admin, closing, competitions, money, operator, payouts, tickets
from coordinator.api.routes.health import healthz, livez
from coordinator.api.routes.metrics import metrics
from coordinator.api.routes.readiness import readyz
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError

MAX_BODY = 1_000_000


def create_application(api: Api, more: Sequence[Any] = (), assets: Assets | None = None) -> Litestar:
    """The ASGI application: API, pages and built files; the engine starts and stops with it. `more` are further
    routers; `assets` another build of the frontend than the one beside the package."""

    @asynccontextmanager
    async def engine(_: Litestar) -> AsyncGenerator[None]:
        api.engine.vitals.meters.serve(templates(application))
        await api.engine.start()
        try:
            yield
        finally:
            await api.engine.stop()

    async def admit(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
        api.door.require_open()
        api.admission.guard(connection, route)

    guards = [admit]
    built = assets or Assets()
    groups = (competitions, tickets, closing, payouts, operator, admin, money)
    handlers = [handler for group in groups for handler in group.handlers]
    v1 = Router("/api/v1", route_handlers=handlers, guards=[*guards, known_only])
    application = Litestar(
        route_handlers=[v1, livez, readyz, healthz, metrics, public.router(guards), built.router(), *more],
        dependencies={"api": Provide(lambda: api, sync_to_thread=False)},
        exception_handlers={
            NotBuilt: not_built,
            CoreError: for_people(problem.core_error),
            PortError: for_people(problem.port_error),
            HTTPException: for_people(problem.http_error),
            Exception: for_people(problem.unexpected),
        },
        template_config=template_config(built),
        before_send=[headers.protect],
        lifespan=[engine],
        # Counted while the body arrives: what is announced may be a lie, or missing.
        request_max_body_size=MAX_BODY,
        openapi_config=openapi(),
        logging_config=None,
        debug=False,
    )
    # Outside of the framework's own layers: it sees what no route answers, too.
    answered = Doorway(application.asgi_handler, lambda: api.door)
    application.asgi_handler = RequestLog(answered, lambda: api.engine.vitals)
    return application


def templates(application: Litestar) -> frozenset[str]:
    """Paths of all routes, with names in braces where values stand."""
    return frozenset(route.path_format for route in application.routes)
