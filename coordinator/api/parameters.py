"""Query parameters: one that a route does not know is refused, so that no filter is ignored in silence."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from coordinator_core.errors import Fault, InvalidInput

SHOWN: Final = 64
"""Characters of an unknown name that are repeated."""


def known_only(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    """A guard. Raises InvalidInput with the name of the first query parameter that the route does not take."""
    given = connection.query_params.keys()
    if not given:
        return
    known = _known(route, frozenset(connection.path_params))
    for name in given:
        if name not in known:
            fix = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise InvalidInput(name[:SHOWN], "is no query parameter of this address", fix, fault=Fault.PLAYER)


@lru_cache(maxsize=256)
def _known(route: BaseRouteHandler, in_path: frozenset[str]) -> frozenset[str]:
    # Only the names are looked at.
    model = route.create_kwargs_model(path_parameters=cast(Any, dict.fromkeys(in_path)))
    return frozenset(parameter.field_alias for parameter in model.expected_query_params)
