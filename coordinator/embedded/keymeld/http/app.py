"""The two applications: the gateway under /api/v1, and the control endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from coordinator.embedded.keymeld.gateway.gateway import Gateway
from coordinator.embedded.keymeld.http.answers import EXCEPTION_HANDLERS
from coordinator.embedded.keymeld.http.control_routes import CONTROL_ROUTES
from coordinator.embedded.keymeld.http.keygen_routes import KeygenRoutes
from coordinator.embedded.keymeld.http.rate_limit import RateLimiter, RateLimits, rate_limit
from coordinator.embedded.keymeld.http.service_routes import SERVICE_ROUTES
from coordinator.embedded.keymeld.http.signing_routes import SigningRoutes
from coordinator.embedded.keymeld.limits import BODY_BYTES


def gateway_app(gateway: Gateway, *, limits: RateLimits | None = None, allowed_origins: Sequence[str] = ()) -> Litestar:
    """The gateway's HTTP interface. Browsers may call it from exactly the given origins."""
    routes: list[ControllerRouterHandler] = [KeygenRoutes, SigningRoutes, *SERVICE_ROUTES]
    cors = CORSConfig(
        allow_origins=list(allowed_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Content-Type", "Content-Encoding", "X-Session-Signature", "X-User-Signature"],
    )
    return Litestar(
        [Router("/api/v1", route_handlers=routes)],
        dependencies={"gateway": _provide(gateway)},
        middleware=[rate_limit(RateLimiter(limits or RateLimits()))],
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=cors if allowed_origins else None,
        request_max_body_size=BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )


def control_app(gateway: Gateway) -> Litestar:
    """The control endpoint; to be bound to loopback only."""
    return Litestar(
        CONTROL_ROUTES,
        dependencies={"gateway": _provide(gateway)},
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=BODY_BYTES,
        openapi_config=None,
        logging_config=None,
    )


def _provide(gateway: Gateway) -> Provide:
    return Provide(lambda: gateway, use_cache=True, sync_to_thread=False)
