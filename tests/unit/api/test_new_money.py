"""What pages and API say while no ticket is sold, and what an owner sees of a debt."""

from __future__ import annotations

import re
from typing import Any

import pytest

from coordinator.domain.competitions.states import Cancelled, Failed
from coordinator.domain.facts import HoldState, Missed, Owed
from coordinator.engine.dependencies import NO_ANSWER, Dependency
from coordinator_core.receipts.debt import DebtReason
from coordinator_core.units import FeeRate, Sats, UnixTime

SINCE = UnixTime(1_790_000_000)
NAMES = {
    Dependency.LIGHTNING: "the Lightning node",
    Dependency.CHAIN: "the Bitcoin node",
    Dependency.ORACLE: "the oracle",
    Dependency.KEYMELD: "the keymeld gateway",
}


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


@pytest.mark.parametrize("dependency", list(Dependency))
async def test_page_and_api_name_the_service_and_since_when(
    house: Any, open_competition: str, dependency: Dependency
) -> None:
    base = "/api/v1/competitions"
    await house.engine.dependencies.ask(Dependency.CHAIN)
    assert (await house.browser.get(f"{base}/{open_competition}")).json()["paused"] == []
    house.engine.dependencies.record(dependency, SINCE, NO_ANSWER)
    said = f"No ticket is sold now: {NAMES[dependency]} does not answer, since 2026-09-21 14:13 UTC."
    assert said in text_of(await house.page(open_competition))
    away = {"dependency": dependency.value, "reason": NO_ANSWER, "since": SINCE}
    assert (await house.browser.get(f"{base}/{open_competition}")).json()["paused"] == [away]
    assert (await house.browser.get("/api/v1/status")).json()["away"] == [away]
    refused = await house.signed("POST", f"{base}/{open_competition}/entries")
    assert (refused.status_code, refused.json()["code"]) == (503, "competition.paused")
    assert dependency.value in refused.json()["detail"]
    assert int(refused.headers["retry-after"]) > 0
    house.engine.dependencies.record(dependency, SINCE, None)
    assert (await house.browser.get("/api/v1/status")).json()["away"] == []


@pytest.mark.parametrize(
    ("rate", "code"),
    [
        (None, "competition.fees.no_estimate"),
        (FeeRate(20_000), "competition.fees.rate_above_ceiling"),
        (FeeRate(9000), "competition.fees.network_fee_too_high"),
    ],
    ids=["no estimate", "above the terms' ceiling", "out of proportion"],
)
async def test_fees_at_which_no_ticket_is_sold_are_waited_for(
    house: Any, open_competition: str, monkeypatch: pytest.MonkeyPatch, rate: FeeRate | None, code: str
) -> None:
    async def fee_rate(_: int) -> FeeRate | None:
        return rate

    monkeypatch.setattr(house.node, "fee_rate", fee_rate)
    refused = await house.signed("POST", f"/api/v1/competitions/{open_competition}/entries")
    assert (refused.status_code, refused.json()["code"]) == (503, code)
    assert int(refused.headers["retry-after"]) > 0


async def test_a_barred_player_is_told_until_when_and_others_are_not_barred(house: Any, open_competition: str) -> None:
    missed = Missed(player=house.players[0], attempt=1, at=UnixTime(house.now - 3_600))
    other = await house.competition(Cancelled(reason="r"), [missed])
    assert other != open_competition
    path = f"/api/v1/competitions/{open_competition}/entries"
    refused = await house.signed("POST", path)
    assert (refused.status_code, refused.json()["code"]) == (409, "competition.barred")
    assert "new tickets again from" in refused.json()["fix"]
    assert (await house.signed("POST", path, player=3)).status_code == 201


async def test_the_owner_of_a_settled_ticket_sees_the_debt_and_the_page_the_sum(house: Any) -> None:
    settled = house.entries(2, HoldState.SETTLED)
    debts = [
        Owed(
            reason=DebtReason.TICKET,
            entry_id=house.ids[n],
            payment_hash=f"{n + 1:02x}" * 32,
            amount=Sats(52_400 + n),
            since=house.now,
            receipt='{"pubkey":"p"}',
        )
        for n in range(2)
    ]
    lane = await house.competition(Failed(reason="the funding can never confirm"), [*settled, *debts])
    shown = (await house.signed("GET", f"/api/v1/competitions/{lane}/entries/{house.ids[0]}")).json()
    assert [(debt["reason"], debt["amount"], debt["since"]) for debt in shown["debts"]] == [
        ("ticket", 52_400, house.now)
    ]
    assert shown["debts"][0]["receipt"] == {"pubkey": "p"}
    page = await house.page(lane)
    assert "2 settled before and owed by the coordinator. 104,801\N{NO-BREAK SPACE}sat are owed for them." in page
    assert "ticket settled; 52,400\N{NO-BREAK SPACE}sat owed by the coordinator" in page
    assert "hx-get" in page, "a page with an open debt goes on being refreshed"
    books = (await house.operated("GET", f"/api/v1/operator/competitions/{lane}/books")).json()
    assert books["tickets owed"] == -104_801
