"""The list of competitions."""

from typing import Any

from coordinator.domain.competitions.states import Cancelled, CollectingEntries, Completed
from coordinator.domain.facts import HoldState


async def test_empty_list_says_what_to_do(house: Any) -> None:
    page = (await house.browser.get("/")).text
    assert "There is no competition yet." in page
    assert "<table" not in page


async def test_list_links_to_every_competition_newest_first(house: Any) -> None:
    first = await house.competition(
        CollectingEntries(terms_hash="00"), house.entries(2, HoldState.ACCEPTED), title="First"
    )
    second = await house.competition(Cancelled(reason="too few"), title="Second")
    page = (await house.browser.get("/")).text
    assert page.index(f'href="/competitions/{second}"') < page.index(f'href="/competitions/{first}"')
    assert '<span class="badge open">Open</span>' in page
    assert '<span class="badge aside">Cancelled</span>' in page
    assert "2 of 5, at\N{NO-BREAK SPACE}least\N{NO-BREAK SPACE}3" in page
    assert "<caption>" in page
    assert 'hx-get="/live"' in page


async def test_players_of_a_completed_competition_are_still_counted(house: Any) -> None:
    from coordinator.domain.facts import Pinned
    from coordinator_core.units import Height, Sats

    pin = Pinned(
        attempt=1,
        parameters="p",
        plan="p",
        funding_txid=house.funding,
        funding_vout=0,
        funding_value=Sats(1),
        fee_rate=1_000,
        inputs=(),
        at_height=Height(100),
    )
    await house.competition(Completed(funding_txid=house.funding, outcome=0), [house.session(4), pin])
    assert "4 of 5, at\N{NO-BREAK SPACE}least\N{NO-BREAK SPACE}3" in (await house.browser.get("/")).text


async def test_list_is_paged(house: Any) -> None:
    for number in range(27):
        await house.competition(CollectingEntries(terms_hash="00"), title=f"Number {number:02d}")
    first, second = (await house.browser.get("/")).text, (await house.browser.get("/?page=2")).text
    assert first.count('<th scope="row">') == 25
    assert second.count('<th scope="row">') == 2
    assert "Number 26" in first
    assert "Number 00" in second
    assert 'rel="next" href="/?page=2"' in first
    assert 'rel="prev" href="/?page=1"' in second
    assert 'hx-get="/live?page=2"' in second


async def test_page_beyond_the_end_is_not_an_error(house: Any) -> None:
    answer = await house.browser.get("/?page=9")
    assert answer.status_code == 200
    assert "There is no page 9." in answer.text


async def test_page_numbers_are_checked(house: Any) -> None:
    for number in ("0", "-1", "x", "9999999999"):
        assert (await house.browser.get(f"/?page={number}")).status_code == 400
