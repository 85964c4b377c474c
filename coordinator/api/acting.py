"""What every act of an operator begins with: who asks, what for, why, and under which key it takes effect once."""

from __future__ import annotations

import secrets
from typing import Any, Protocol, TypeVar

from litestar import Request

from coordinator.api.auth import operator_of
from coordinator.api.bodies import read_body
from coordinator.api.context import Api, idempotency_key
from coordinator.engine.operators.acting import By
from coordinator_core.errors import Fault


class Reasoned(Protocol):
    """A body that says why."""

    @property
    def reason(self) -> str:
        """It stays in the audit log."""
        ...


B = TypeVar("B", bound=Reasoned)


async def asked(api: Api, request: Request[Any, Any, Any], kind: type[B]) -> tuple[By, B]:
    """Who acts, and the body. Raises NotAuthorizedException, NotAuthorized, InvalidInput."""
    who = await operator_of(request, api)
    body = await read_body(request, kind, Fault.COORDINATOR)
    key = idempotency_key(request)
    return By(who, body.reason, f"{who}/{request.url.path}/{key}" if key else secrets.token_hex(16)), body
