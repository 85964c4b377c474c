"""The web application: routes, error answers, limits, cross-origin reads."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Litestar, Request, Response
from litestar.config.compression import CompressionConfig
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException

from coordinator.embedded.oracle.control import CONTROL_ROUTES
from coordinator.embedded.oracle.errors import INTERNAL, AuthError, OracleError
from coordinator.embedded.oracle.routes import PUBLIC_ROUTES, Served, answer

MAX_BODY_BYTES = 256 * 1024

_log = logging.getLogger(__name__)


def build_application(served: Served) -> Litestar:
    """The oracle's HTTP interface, with its controls under /control."""
    return Litestar(
        route_handlers=[*PUBLIC_ROUTES, *CONTROL_ROUTES],
        state=State({"served": served}),
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "POST", "OPTIONS"],
            allow_headers=["Accept", "Content-Type"],
        ),
        compression_config=CompressionConfig(backend="gzip", minimum_size=1_024, gzip_compress_level=4),
        request_max_body_size=MAX_BODY_BYTES,
        exception_handlers={
            OracleError: _oracle_error,
            AuthError: _auth_error,
            HTTPException: _http_error,
            Exception: _bug,
        },
        openapi_config=None,
        logging_config=None,
    )


def _oracle_error(_: Request[Any, Any, Any], error: OracleError) -> Response[bytes]:
    return answer({"error": error.text}, error.status)


def _auth_error(_: Request[Any, Any, Any], error: AuthError) -> Response[bytes]:
    failure = error.failure
    return answer({"error": {"type": failure.code, "detail": failure.detail}}, failure.status)


def _http_error(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    return Response(b"", status_code=error.status_code)


def _bug(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return answer({"error": INTERNAL}, 500)
