"""The web application: routes, errors, start and stop of the engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from litestar import Litestar, Router
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.openapi import OpenAPIConfig

from coordinator.api import problem
from coordinator.api.context import Api
from coordinator.api.routes import closing, competitions, operator, payouts, tickets
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError

MAX_BODY = 1_000_000


def create_application(api: Api, more: Sequence[Any] = ()) -> Litestar:
    """The ASGI application; the engine starts and stops with it. `more` are page routers."""

    @asynccontextmanager
    async def engine(_: Litestar) -> AsyncGenerator[None]:
        await api.engine.start()
        try:
            yield
        finally:
            await api.engine.stop()

    groups = (competitions, tickets, closing, payouts, operator)
    v1 = Router("/api/v1", route_handlers=[handler for group in groups for handler in group.handlers])
    return Litestar(
        route_handlers=[v1, *more],
        dependencies={"api": Provide(lambda: api, sync_to_thread=False)},
        exception_handlers={
            CoreError: problem.core_error,
            PortError: problem.port_error,
            HTTPException: problem.http_error,
            Exception: problem.unexpected,
        },
        lifespan=[engine],
        request_max_body_size=MAX_BODY,
        openapi_config=OpenAPIConfig(title="coordinator", version="1", path="/api/v1/schema"),
        debug=False,
    )
