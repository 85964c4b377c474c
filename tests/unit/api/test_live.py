"""The refreshed part of a page."""

import re
from typing import Any

from coordinator.domain.competitions.states import Cancelled
from coordinator.domain.facts import HoldState


def tag_in(page: str) -> str:
    found = re.search(r'data-etag="&#34;([0-9a-f]{32})&#34;"', page)
    assert found, "the live part carries its tag"
    return f'"{found.group(1)}"'


async def test_page_holds_what_its_live_part_would_fetch(house: Any, open_competition: str) -> None:
    page = await house.page(open_competition)
    url = f"/competitions/{open_competition}/live"
    assert f'hx-get="{url}" hx-trigger="every 5s" hx-target="this" hx-swap="outerHTML"' in page
    live = await house.browser.get(url)
    assert live.text.strip() in page
    assert "<html" not in live.text
    assert live.headers["etag"] == tag_in(page)


async def test_unchanged_part_is_not_sent_again(house: Any, open_competition: str) -> None:
    url, tag = f"/competitions/{open_competition}/live", tag_in(await house.page(open_competition))
    answer = await house.browser.get(url, headers={"if-none-match": tag})
    assert answer.status_code == 304
    assert answer.content == b""
    assert answer.headers["etag"] == tag
    await house.add_facts(open_competition, *house.entries(3, HoldState.ACCEPTED)[6:])
    changed = await house.browser.get(url, headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag
    assert "3 of 5" in changed.text


async def test_list_has_a_live_part(house: Any, open_competition: str) -> None:
    page = (await house.browser.get("/")).text
    answer = await house.browser.get("/live", headers={"if-none-match": tag_in(page)})
    assert answer.status_code == 304
    assert open_competition in (await house.browser.get("/live")).text


async def test_change_of_state_is_announced(house: Any, open_competition: str) -> None:
    page = await house.page(open_competition)
    assert 'data-announce="Open. Tickets are sold until the closing time.' in page
    assert '<p id="announcement" class="hidden" role="status"></p>' in page


async def test_ended_part_asks_for_nothing(house: Any) -> None:
    lane = await house.competition(Cancelled(reason="too few players"))
    assert "hx-" not in (await house.browser.get(f"/competitions/{lane}/live")).text
