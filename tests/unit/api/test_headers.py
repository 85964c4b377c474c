"""Headers of every kind of answer, and files that never change under one name."""

import re
from typing import Any

import pytest

PATHS = ["/", "/live", "/nothing", "/static/site-BBBBBBBB.css", "/static/none.css", "/api/v1/status", "/api/v1/none"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_protected(house: Any, path: str) -> None:
    headers = (await house.browser.get(path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "no-transform" in headers["cache-control"]


async def test_answers_for_their_owner_are_not_kept(house: Any) -> None:
    assert (await house.browser.get("/api/v1/status")).headers["cache-control"] == "no-store, no-transform"
    assert (await house.browser.get("/")).headers["cache-control"] == "no-cache, no-transform"


async def test_built_files_are_kept_for_ever(house: Any) -> None:
    answer = await house.browser.get("/static/site-BBBBBBBB.css")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/css")
    for word in ("public", "immutable", "max-age=31536000", "no-transform"):
        assert word in answer.headers["cache-control"]


async def test_nothing_outside_of_the_built_files_is_served(house: Any) -> None:
    for path in ("/static/../coordinator.db", "/static/%2e%2e/coordinator.db", "/static/..%2fcoordinator.db"):
        assert (await house.browser.get(path)).status_code == 404


async def test_pages_load_nothing_from_elsewhere_and_hold_no_inline_code(house: Any, open_competition: str) -> None:
    for page in ((await house.browser.get("/")).text, await house.page(open_competition)):
        sources = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert sources
        assert all(source.startswith(("/", "#")) or source == "" for source in sources)
        assert not re.search(r"<script(?![^>]* src=)[^>]*>", page)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|hx-on", page)


async def test_the_schema_is_json_without_a_viewer_from_elsewhere(house: Any) -> None:
    answer = await house.browser.get("/api/v1/schema/openapi.json")
    assert answer.status_code == 200
    assert "/competitions/{competition}" not in answer.json()["paths"]
    assert "/api/v1/competitions" in answer.json()["paths"]
    for path in ("/api/v1/schema", "/api/v1/schema/swagger", "/api/v1/schema/redoc"):
        assert "cdn" not in (await house.browser.get(path)).text
