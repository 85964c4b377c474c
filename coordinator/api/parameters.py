"""Query parameters: one that a route does not know is refused, so that no filter is ignored in silence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from coordinator_core.errors import Fault, InvalidInput

SHOWN: Final = re.compile(r"[a-z_]{1,24}")
"""What names of parameters look like. Anything else is not repeated: it may be a secret that went to a wrong place."""
_KNOWN: Final[dict[tuple[Callable[..., Any], frozenset[str]], frozenset[str]]] = {}
"""By function, of which there are only so many: a guard is given another copy of its route with each request."""


def known_only(connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
    """A guard. Raises InvalidInput with the name of the first query parameter that the route does not take."""
    given = connection.query_params.keys()
    if not given:
        return
    known = _known(route, frozenset(connection.path_params))
    for name in given:
        if name not in known:
            fix = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            shown = name if SHOWN.fullmatch(name) else "query"
            raise InvalidInput(shown, "is no query parameter of this address", fix, fault=Fault.PLAYER)


def _known(route: BaseRouteHandler, in_path: frozenset[str]) -> frozenset[str]:
    key = (route.fn, in_path)
    if key not in _KNOWN:
        # Only the names are looked at.
        model = route.create_kwargs_model(path_parameters=cast(Any, dict.fromkeys(in_path)))
        _KNOWN[key] = frozenset(parameter.field_alias for parameter in model.expected_query_params)
    return _KNOWN[key]
