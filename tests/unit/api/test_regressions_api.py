"""A parameter that a route does not know is refused: a filter that is ignored answers another question."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from coordinator.domain.competitions.states import CollectingEntries
from coordinator.domain.facts import HoldState

OPEN = CollectingEntries(terms_hash="00")


@pytest.mark.parametrize("path", ["", "/{lane}", "/{lane}/terms"])
@pytest.mark.parametrize(
    ("query", "field"), [("state=open", "state"), ("page=1&limit=5", "page"), ("x" * 99, "x" * 64)]
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
