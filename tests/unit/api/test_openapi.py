"""The OpenAPI document against the routes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.openapi import DOCUMENT

BODIES = {
    ("put", "/api/v1/competitions/{competition}/entries/{entry}"): "HandIn",
    ("post", "/api/v1/competitions/{competition}/keymeld/join"): "Join",
    ("post", "/api/v1/competitions/{competition}/keymeld/ready"): "ReadyBody",
    ("post", "/api/v1/competitions/{competition}/keymeld/approvals"): "Approvals",
    ("post", "/api/v1/competitions/{competition}/entries/{entry}/payout"): "PayoutBody",
    ("post", "/api/v1/competitions/{competition}/entries/{entry}/key"): "KeyBody",
    ("post", "/api/v1/operator/competitions"): "DraftBody",
    ("post", "/api/v1/operator/budget"): "DraftBody",
    ("post", "/api/v1/operator/competitions/{competition}/cancel"): "ReasonBody",
    ("post", "/api/v1/operator/competitions/{competition}/retry"): "RetryBody",
    ("post", "/api/v1/operator/competitions/{competition}/resume"): "ReasonBody",
    ("post", "/api/v1/operator/competitions/{competition}/reconcile"): "ReasonBody",
    ("post", "/api/v1/operator/duties/reopen"): "ReopenBody",
    ("post", "/api/v1/operator/freeze"): "ReasonBody",
    ("post", "/api/v1/operator/unfreeze"): "ReasonBody",
    ("post", "/api/v1/operator/settle-only"): "ReasonBody",
    ("post", "/api/v1/operator/take-on"): "ReasonBody",
    ("post", "/api/v1/operator/payments/explain"): "ExplainBody",
    ("post", "/api/v1/operator/keys/accept"): "AcceptBody",
}


@pytest.fixture
async def document(edge: Any) -> dict[str, Any]:
    return (await edge.browser.get(DOCUMENT)).json()


def routes_of(application: Any) -> set[tuple[str, str]]:
    return {
        (method.lower(), re.sub(r":\w+\}", "}", route.path))
        for route in application.routes
        for method in getattr(route, "methods", ())
        if method != "OPTIONS" and route.path.startswith("/api/v1/") and "/schema" not in route.path
    }


async def test_every_json_route_is_in_the_document_and_no_other(edge: Any, document: dict[str, Any]) -> None:
    documented = {(method, path) for path, item in document["paths"].items() for method in item}
    assert documented == routes_of(edge.application)
    assert len(documented) > 25


async def test_every_operation_says_what_it_takes_answers_and_refuses(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            good = [status for status in operation["responses"] if status.startswith("2")]
            assert good, (method, path)
            for status in good:
                assert operation["responses"][status]["content"]["application/json"]["schema"]["type"], path
            assert {"400", "429", "500", "503"} <= operation["responses"].keys()
            body = operation.get("requestBody")
            schema = body["content"]["application/json"]["schema"] if body else {}
            assert schema.get("title") == BODIES.get((method, path)), (method, path)
            assert not body or schema["additionalProperties"] is False


async def test_an_unknown_query_parameter_is_refused_as_documented_even_where_none_is_taken(
    edge: Any, document: dict[str, Any]
) -> None:
    answer = await edge.browser.get("/api/v1/status", params={"entry": "1"})
    assert answer.status_code == 400
    assert answer.json()["field"] == "entry"
    assert "400" in document["paths"]["/api/v1/status"]["get"]["responses"]


async def test_who_may_ask_stands_in_the_document(document: dict[str, Any]) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["operator"]["scheme"] == "bearer"
    for path, item in document["paths"].items():
        for method, operation in item.items():
            wanted = [next(iter(one)) for one in operation.get("security", ())]
            assert set(wanted) <= set(schemes)
            assert (wanted == ["operator"]) == ("/operator/" in path)
            public = method == "get" and not re.search("/operator/|/entries/|/keymeld/", path)
            assert public == (wanted == []), (method, path)
            assert ("401" in operation["responses"]) == bool(wanted)


async def test_refusals_are_problems_with_code_field_and_fix(document: dict[str, Any]) -> None:
    schema = document["components"]["responses"]["Problem"]["content"]["application/problem+json"]["schema"]
    assert set(schema["required"]) == {"type", "title", "status", "detail", "code"}
    assert set(schema["properties"]) - set(schema["required"]) == {"fault", "field", "fix"}
    assert "Retry-After" in document["components"]["responses"]["TryLater"]["headers"]


async def test_the_document_has_no_definitions_of_another_dialect(edge: Any) -> None:
    text = (await edge.browser.get(DOCUMENT)).text
    assert "$defs" not in text
    assert r"\\A" not in text
