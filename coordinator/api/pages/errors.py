"""Errors for people: the same refusal as the API's, as a page, when a browser asks for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from litestar import Request, Response
from litestar.enums import MediaType

from coordinator.api.assets import NotBuilt
from coordinator.api.pages.rendering import html, render
from coordinator.api.problem import PROBLEM

API: Final = "/api/"
TITLES: Final = {
    400: "This request cannot be understood",
    404: "There is nothing here",
    405: "This cannot be done here",
    429: "Too many requests",
    500: "An error of this server",
    503: "Not available now",
}

PLAIN: Final = {
    400: ("A part of the address is not as it should be.", "open the list and go on from there"),
    404: ("No page has this address. It may have been cut off where it was copied.", "open the list"),
    405: ("This address only shows something.", "open the list"),
}
"""What the framework refuses, and what helps, in words for people."""

E = TypeVar("E", bound=Exception)
Handler = Callable[[Request[Any, Any, Any], E], Response[Any]]


def for_people(handler: Handler[E]) -> Handler[E]:
    """The same errors, as a page outside the API for whoever prefers HTML."""

    def handle(request: Request[Any, Any, Any], error: E) -> Response[Any]:
        answer = handler(request, error)
        if request.scope["path"].startswith(API) or not _prefers_html(request):
            return answer
        return _page(request, answer)

    return handle


def not_built(request: Request[Any, Any, Any], error: NotBuilt) -> Response[Any]:
    """Pages cannot be shown before the frontend was built; the sentence says how."""
    body = {"title": "not built", "status": 503, "detail": str(error), "code": error.code, "fault": error.fault.value}
    answer = Response(msgspec.json.encode(body), status_code=503, media_type=PROBLEM)
    return _page(request, answer) if _prefers_html(request) else answer


def _prefers_html(request: Request[Any, Any, Any]) -> bool:
    return request.accept.best_match([PROBLEM, MediaType.JSON, MediaType.HTML], PROBLEM) == MediaType.HTML


def _page(request: Request[Any, Any, Any], answer: Response[Any]) -> Response[Any]:
    problem = msgspec.json.decode(answer.content, type=dict[str, Any])
    status = answer.status_code or 500
    if problem["code"] == f"http.{status}" and status in PLAIN:
        problem["detail"], problem["fix"] = PLAIN[status]
    context = {"title": TITLES.get(status, "Refused"), "problem": problem}
    try:
        text = render(request, "pages/error.html", styled=True, **context)
    except NotBuilt:
        text = render(request, "pages/error.html", styled=False, **context)
    page = html(text, status)
    page.headers.update({name: value for name, value in answer.headers.items() if name.lower() == "retry-after"})
    return page
