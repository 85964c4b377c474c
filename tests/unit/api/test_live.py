"""The refreshed part of a page."""

import re
from typing import Any

import pytest

from coordinator.api.pages.live import MOST, Live, LiveBoard
from coordinator.domain.competitions.states import Cancelled
from coordinator.domain.facts import HoldState
from coordinator.engine.submit import UnknownCompetition
from coordinator.engine.wakeups import Wakeups


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


class TestBoard:
    """Hundreds of browsers ask every five seconds."""

    @pytest.fixture
    def board(self) -> tuple[LiveBoard, list[float], Wakeups]:
        now = [0.0]
        return LiveBoard(lambda: now[0]), now, Wakeups()

    async def test_it_is_made_once_for_all_who_look_within_a_second(self, board: Any) -> None:
        shown, now, wakeups = board
        made: list[float] = []

        async def make() -> Live:
            made.append(now[0])
            return Live("/", str(len(made)), "tag", "", refresh=True)

        for _ in range(500):
            now[0] += 0.01
            await shown.look(wakeups, "lane", make)
        assert len(made) == 5
        assert (await shown.look(wakeups, "lane", make)).body == "5"
        wakeups.changed("other")
        assert (await shown.look(wakeups, "lane", make)).body == "5"
        wakeups.changed("lane")
        assert (await shown.look(wakeups, "lane", make)).body == "6"

    async def test_what_cannot_be_made_is_not_remembered(self, board: Any) -> None:
        shown, _, wakeups = board

        async def fail() -> Live:
            raise UnknownCompetition("competition", "is not known", "take another")

        async def make() -> Live:
            return Live("/", "there", "tag", "", refresh=True)

        with pytest.raises(UnknownCompetition):
            await shown.look(wakeups, "lane", fail)
        assert (await shown.look(wakeups, "lane", make)).body == "there"

    async def test_memory_is_bounded(self, board: Any) -> None:
        shown, _, wakeups = board
        made: list[str] = []

        async def look(lane: str) -> None:
            async def make() -> Live:
                made.append(lane)
                return Live("/", lane, "tag", "", refresh=True)

            await shown.look(wakeups, lane, make)

        for number in range(MOST + 1):
            await look(f"lane-{number}")
        await look("lane-0")
        assert made.count("lane-0") == 2
