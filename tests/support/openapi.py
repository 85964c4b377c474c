"""Answers against the OpenAPI document."""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.support.json_schema import check

DOCUMENT = "/api/v1/schema/openapi.json"
REFERENCE = "#/components/responses/"


class Contract:
    """Checks answers against the document, and remembers what was seen."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.seen: set[tuple[str, str, int]] = set()

    def response(self, method: str, path: str, status: int) -> dict[str, Any]:
        found = self.document["paths"][path][method]["responses"].get(str(status))
        assert found is not None, f"{method} {path} answered {status}, which is not documented"
        reference = found.get("$ref")
        if reference is None:
            return found
        return self.document["components"]["responses"][reference.removeprefix(REFERENCE)]

    def path_of(self, path: str) -> str | None:
        """The documented path that a request's path belongs to."""
        fits = (item for item in self.document["paths"] if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", item), path))
        return min(fits, key=lambda item: item.count("{"), default=None)

    def check(self, path: str, answer: httpx.Response) -> Any:
        """The answer's value, if the document promises it for a documented path. Raises AssertionError."""
        method = answer.request.method.lower()
        response = self.response(method, path, answer.status_code)
        kind = answer.headers["content-type"]
        value = answer.json()
        check(value, response["content"][kind]["schema"], f"{method} {path} {answer.status_code}")
        for name in response.get("headers", {}):
            assert name in answer.headers
        self.seen.add((method, path, answer.status_code))
        return value
