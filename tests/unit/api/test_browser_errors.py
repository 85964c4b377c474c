"""Errors: a page for whoever prefers HTML, problem details for everyone else and in the API."""

from typing import Any

import pytest
from sqlalchemy import update

from coordinator.adapters.store import tables
from coordinator.api.assets import Assets, NotBuilt
from coordinator.domain.competitions.states import CollectingEntries

UNKNOWN = "01926f3a-0000-7000-8000-0000000000ff"


@pytest.mark.parametrize("path", ["/nothing", "/competitions/not-an-id", "/competitions/not-an-id/live"])
async def test_unknown_addresses_are_a_page(house: Any, path: str) -> None:
    answer = await house.browser.get(path)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "<h1>There is nothing here</h1>" in answer.text
    assert 'href="/"' in answer.text


@pytest.mark.parametrize(("path", "status"), [("/nothing", 404), ("/?page=x", 400)])
async def test_pages_speak_to_people_and_programs_to_programs(house: Any, path: str, status: int) -> None:
    page = await house.browser.get(path)
    assert page.status_code == status
    assert "open the list" in page.text
    assert "the API's schema" not in page.text.replace("&#39;", "'")
    assert "Not Found" not in page.text
    problem = (await house.browser.get(path, headers={"accept": "application/json"})).json()
    assert problem["field"] == ("page" if status == 400 else "path")
    assert "schema" in problem["fix"]


async def test_unknown_competition_says_what_helps(house: Any) -> None:
    answer = await house.browser.get(f"/competitions/{UNKNOWN}")
    assert answer.status_code == 404
    assert "competition.unknown" in answer.text
    assert "take an id from the list" in answer.text


@pytest.mark.parametrize("accept", ["application/json", "*/*", "application/problem+json"])
async def test_programs_get_problem_details(house: Any, accept: str) -> None:
    answer = await house.browser.get(f"/competitions/{UNKNOWN}", headers={"accept": accept})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "competition.unknown"


async def test_the_api_never_answers_with_a_page(house: Any) -> None:
    answer = await house.browser.get(f"/api/v1/competitions/{UNKNOWN}")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_errors_repeat_what_was_sent_as_text_only(house: Any) -> None:
    answer = await house.browser.get("/?page=<script>alert(1)</script>")
    assert answer.status_code == 400
    assert "<script>alert" not in answer.text


async def test_defects_are_a_page_without_details(house: Any) -> None:
    lane = await house.competition(CollectingEntries(terms_hash="00"))
    async with house.store.write_connection() as connection:
        await connection.execute(update(tables.state_row).values(data=b"{}"))
    answer = await house.browser.get(f"/competitions/{lane}")
    assert answer.status_code == 500
    assert "<h1>An error of this server</h1>" in answer.text
    assert "msgspec" not in answer.text


async def test_unbuilt_frontend_is_one_clear_sentence(house: Any) -> None:
    (house.static / "manifest.json").unlink()
    answer = await house.browser.get("/")
    assert answer.status_code == 503
    assert "the frontend is not built: run `./dev build`" in answer.text
    assert "<link" not in answer.text
    other = await house.browser.get("/nothing")
    assert other.status_code == 404
    assert "<h1>There is nothing here</h1>" in other.text
    answer = await house.browser.get("/", headers={"accept": "*/*"})
    assert answer.json()["code"] == "frontend.not_built"


def test_broken_or_incomplete_builds_are_named(tmp_path: Any) -> None:
    (tmp_path / "manifest.json").write_text("[")
    with pytest.raises(NotBuilt, match="cannot be read"):
        Assets(tmp_path).url("site.css")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(NotBuilt, match=r"has no site\.css"):
        Assets(tmp_path).url("site.css")
