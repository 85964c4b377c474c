"""Routes as the OpenAPI document shows them: bodies, answers, refusals, and who may ask.

Handlers decode bodies themselves, because a proof is over their exact bytes; what they decode them as stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from typing import Any, Final, cast

from litestar import Response, Router
from litestar.enums import MediaType
from litestar.exceptions import NotFoundException
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import (
    Components,
    OpenAPIHeader,
    OpenAPIMediaType,
    OpenAPIResponse,
    Operation,
    Parameter,
    Reference,
    RequestBody,
    Schema,
    SecurityScheme,
)
from litestar.openapi.spec.enums import OpenAPIType

from coordinator.api.context import IDEMPOTENCY_LENGTH
from coordinator.api.documents.common import Problem
from coordinator.api.problem import PROBLEM
from coordinator.api.schema import json_schema

SCHEMA_PATH: Final = "/api/v1/schema"
_LATER: Final = frozenset({429, 503})
_EVERYWHERE: Final = frozenset({400, 429, 500, 503})
"""400 too where nothing is taken: a query parameter is refused there as well."""
_SIGNED: Final = frozenset({401, 413})


class Who(Enum):
    """Who may call a route."""

    EVERYONE = "everyone"
    OWNER = "nip98"
    OPERATOR = "operator"


def described(
    answers: Mapping[int, Any],
    *,
    who: Who = Who.EVERYONE,
    takes: type[Any] | None = None,
    command: bool = False,
    early: bool = False,
) -> type[Operation]:
    """The operation of a route.

    `answers` are types by status, `takes` is the type of the body. A command takes an idempotency key. It can be too
    early (or too late) for a command, and `early` says so of a read.
    """
    refusals = _EVERYWHERE | (frozenset() if who is Who.EVERYONE else _SIGNED)
    refusals |= {409} if command or early else frozenset()

    @dataclass
    class Described(Operation):
        def __post_init__(self) -> None:
            statuses = refusals | ({404} if self.parameters else frozenset())
            self.responses = {str(status): _answer(status, kind) for status, kind in answers.items()} | {
                str(status): _refusal(status) for status in sorted(statuses)
            }
            self.security = [{who.value: []}] if who is not Who.EVERYONE else None
            if takes is not None:
                self.request_body = RequestBody(required=True, content=_content(MediaType.JSON.value, takes))
            if command:
                self.parameters = [*(self.parameters or ()), _IDEMPOTENCY_KEY]

    return Described


def openapi() -> OpenAPIConfig:
    """The document; rendered as JSON only, because the viewers that could show it load scripts from other hosts."""
    return OpenAPIConfig(
        title="coordinator",
        version="1",
        path=SCHEMA_PATH,
        openapi_router=Router(SCHEMA_PATH, route_handlers=[], include_in_schema=False, after_request=_missing),
        render_plugins=[JsonRenderPlugin()],
        components=Components(
            responses={"Problem": _problem(), "TryLater": _problem(retry=True)},
            security_schemes={
                Who.OWNER.value: SecurityScheme(
                    type="apiKey",
                    name="Authorization",
                    security_scheme_in="header",
                    description="NIP-98: `Nostr ` and the base64 of an event over method, URL and body.",
                ),
                Who.OPERATOR.value: SecurityScheme(type="http", scheme="bearer", description="The operator's token."),
            },
        ),
    )


async def _missing(answer: Response[Any]) -> Response[Any]:
    """The framework's own answer for other forms of the document is a page; ours is a problem."""
    if answer.status_code == HTTPStatus.NOT_FOUND:
        raise NotFoundException
    return answer


def _content(media_type: str, kind: Any) -> dict[str, OpenAPIMediaType]:
    # Litestar writes dictionaries out as they are; its own Schema has no place for all that msgspec says.
    return {media_type: OpenAPIMediaType(schema=cast(Schema, json_schema(kind)))}


def _answer(status: int, kind: Any) -> OpenAPIResponse:
    return OpenAPIResponse(description=HTTPStatus(status).phrase, content=_content(MediaType.JSON.value, kind))


def _refusal(status: int) -> Any:
    return Reference(ref=f"#/components/responses/{'TryLater' if status in _LATER else 'Problem'}")


def _problem(*, retry: bool = False) -> OpenAPIResponse:
    seconds = OpenAPIHeader(schema=Schema(type=OpenAPIType.INTEGER), description="seconds", required=True)
    return OpenAPIResponse(
        description="Not now." if retry else "Refused; `field` and `fix` say what to change.",
        content=_content(PROBLEM, Problem),
        headers={"Retry-After": seconds} if retry else None,
    )


_IDEMPOTENCY_KEY: Final = Parameter(
    name="Idempotency-Key",
    param_in="header",
    schema=Schema(type=OpenAPIType.STRING, max_length=IDEMPOTENCY_LENGTH),
    description="The same caller with the same key gets the stored answer.",
)
