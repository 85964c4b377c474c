"""A parameter that a route does not know is refused: a filter that is ignored answers another question."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from coordinator.domain.competitions.states import CollectingEntries
from coordinator.domain.facts import HoldState
from coordinator.engine.health import HIGH_WATER

OPEN = CollectingEntries(terms_hash="00")


@pytest.mark.parametrize("path", ["/{lane}", "/{lane}/terms"])
@pytest.mark.parametrize(
    ("query", "field"), [("state=open", "state"), ("page=1&limit=5", "page"), ("x" * 99, "query"), ("nsec1q0", "query")]
)
async def test_an_unknown_parameter_is_refused_by_its_name(edge: Any, path: str, query: str, field: str) -> None:
    lane = await edge.competition(OPEN)
    where = f"/api/v1/competitions{path.format(lane=lane)}"
    assert (await edge.browser.get(where)).status_code in (200, 404)
    answer = await edge.browser.get(f"{where}?{query}")
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert answer.json()["fix"] == "it takes none"


async def test_a_parameter_that_is_taken_passes_and_one_beside_it_does_not(edge: Any) -> None:
    lane = await edge.competition(OPEN, edge.entries(3, HoldState.ACCEPTED))
    path = f"/api/v1/competitions/{lane}/keymeld/status?entry={edge.ids[0]}"
    assert (await edge.signed("GET", path)).status_code == 200
    answer = await edge.signed("GET", f"{path}&since=1")
    assert (answer.status_code, answer.json()["field"], answer.json()["fix"]) == (400, "since", "it takes entry")


@pytest.mark.parametrize(
    "path",
    [
        "/static//etc/passwd",
        "/static/%2Fetc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/..//..//etc/passwd",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static/....//etc/passwd",
        "/static/\\etc\\passwd",
    ],
)
async def test_no_path_leads_out_of_the_built_files(house: Any, path: str) -> None:
    """An absolute path joined to a folder takes the folder's place: the file of that name must not be found."""
    answer = await house.browser.get(path)
    assert answer.status_code == 404
    assert "root:" not in answer.text


async def test_a_file_beside_the_built_ones_is_not_served_by_its_full_name(house: Any, tmp_path: Path) -> None:
    secret = tmp_path / "operator.token"
    secret.write_text("a token")
    for path in (f"/static/{secret}", f"/static/{quote(str(secret), safe='')}"):
        answer = await house.browser.get(path)
        assert answer.status_code == 404
        assert "a token" not in answer.text


async def test_a_list_costs_what_it_shows_however_many_there_were(edge: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = sorted([await edge.competition(OPEN) for _ in range(5)], reverse=True)
    read: list[str] = []
    view = edge.engine.view

    async def counted(lane: str) -> Any:
        read.append(lane)
        return await view(lane)

    monkeypatch.setattr(edge.engine, "view", counted)
    path = "/api/v1/competitions"
    first = (await edge.browser.get(f"{path}?limit=2")).json()
    assert [item["id"] for item in first] == read == made[:2]
    following = (await edge.browser.get(f"{path}?limit=2&before={made[1]}")).json()
    assert [item["id"] for item in following] == made[2:4]
    assert (await edge.browser.get(f"{path}?before={made[-1]}")).json() == []
    for query in ("limit=0", "limit=101", "limit=x", "before=x"):
        assert (await edge.browser.get(f"{path}?{query}")).status_code == 400


@pytest.mark.parametrize(
    ("waiting", "age", "taken"), [(HIGH_WATER, 0, True), (HIGH_WATER + 1, 0, False), (1, 30, True), (1, 31, False)]
)
async def test_above_the_high_water_commands_are_told_to_come_later(
    edge: Any, waiting: int, age: int, taken: bool
) -> None:
    """Nothing accepted is lost, and nothing is accepted that would have to wait: reads go on."""
    lane = await edge.competition(OPEN)
    health = edge.engine.health
    known = await edge.store.progress(float(edge.now))
    values = {name: getattr(known, name) for name in known.__struct_fields__}
    oldest = edge.engine.clock.wall() - age
    health.progress = type(known)(**{**values, "inbox": {4: waiting}, "inbox_oldest": oldest})
    rows = await edge.rows()
    answer = await edge.signed("POST", f"/api/v1/competitions/{lane}/entries", b"1")
    assert (answer.status_code == 201) is taken
    if not taken:
        assert (answer.status_code, answer.json()["code"]) == (503, "engine.overloaded")
        assert answer.headers["retry-after"] == "5"
        assert await edge.rows() == rows
    assert (await edge.browser.get(f"/api/v1/competitions/{lane}")).status_code == 200
