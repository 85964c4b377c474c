"""Pages of a competition in each part of its life, as a browser without scripts gets them."""

import re
from typing import Any, get_args

import pytest

from coordinator.domain.competitions.states import (
    AwaitingAttestation,
    AwaitingKeygen,
    AwaitingSigning,
    Cancelled,
    CollectingEntries,
    Competition,
    Completed,
    Created,
    DeltaBroadcasted,
    EntriesSubmitted,
    Failed,
    OutcomeBroadcasted,
    Returning,
)
from coordinator.domain.facts import (
    Attested,
    Batch,
    BatchesOpen,
    Built,
    ContractSigned,
    HoldState,
    KickOffHeld,
    NeedsOperator,
    OracleEvent,
    Pinned,
    PrizeState,
    Sent,
)
from coordinator.views.competition import STEPS
from coordinator.views.words import ASIDE, STATES
from coordinator_core.nostr.nip19 import npub
from coordinator_core.oracle.outcomes import outcome_count, ranking_index
from coordinator_core.units import FeeRate, Height, Sats, UnixTime

HOSTILE = "<script>alert(1)</script>\"'&"
CONTRACT: dict[str, Any] = {"attempt": 1, "contract": "c0" * 32}


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)).replace("\N{NO-BREAK SPACE}", " ")


def current_step(page: str) -> str | None:
    found = re.search(r'aria-current="step">.*?class="name">([^<]+)', page, re.S)
    return found.group(1) if found else None


def names(house: Any, count: int = 3) -> list[str]:
    return [npub(bytes.fromhex(key)) for key in house.players[:count]]


@pytest.fixture
def pinned() -> Any:
    def make(house: Any) -> list[Any]:
        return [
            house.session(3),
            OracleEvent(attempt=1, event_id=house.ids[0], nonce_point="02" + "ee" * 32, entries=3),
            Pinned(
                attempt=1,
                parameters="p",
                plan="p",
                funding_txid=house.funding,
                funding_vout=1,
                funding_value=Sats(151_234),
                fee_rate=1_000,
                inputs=(f"{'77' * 32}:0",),
                at_height=Height(100),
            ),
        ]

    return make


async def test_open_competition_shows_price_prizes_dates_and_terms(house: Any, open_competition: str) -> None:
    page = await house.page(open_competition)
    text = text_of(page)
    assert "<h1>Rain in Kord</h1>" in page
    assert current_step(page) == "Open"
    network_fee = house.offered_network_fee()
    assert "50,000 sat Coordinator fee 3.00 % of the entry fee 1,500 sat" in text
    assert f"{network_fee:,} sat" in text
    assert f"Sum {51_500 + network_fee:,} sat" in text
    assert '<time datetime="2026-09-22T01:20:00Z">2026-09-22 01:20 UTC</time>' in page
    assert "(in 11 hours)" in text
    assert "block 900,094 counts" in text
    assert house.terms.hash.hex() in page
    assert f'href="/api/v1/competitions/{open_competition}/terms"' in page
    assert "unattested, test networks only" in text
    assert "If 3 play the pool is 150,000 sat" in text
    assert all(name in page for name in names(house, 2))
    assert names(house)[2] not in page
    assert text.count("ticket held") == 2
    assert "temp_high: over" not in text


async def test_measurements_in_the_terms_are_not_called_attestation(house: Any) -> None:
    house.change_terms({"keymeld.pcrs": [{"index": 0, "value": "ab" * 48}]})
    text = text_of(await house.page(await house.competition(CollectingEntries(terms_hash="00"))))
    assert "unattested, test networks only" in text
    assert "the terms name 1 measurement register, but this version verifies no attestation" in text


async def test_tickets_pause_with_the_reason_when_fees_are_out_of_proportion(house: Any, open_competition: str) -> None:
    house.node.rate = FeeRate(12_000)
    text = text_of(await house.page(open_competition))
    assert "No ticket is sold now:" in text
    assert "more than a tenth of the entry fee" in text
    assert "at most" in text


async def test_page_is_shown_while_the_node_is_away(house: Any, open_competition: str) -> None:
    house.node.rate = None
    text = text_of(await house.page(open_competition))
    assert "No ticket is sold now: the node does not answer, so the network fee is not known." in text
    assert "Rain in Kord" in text


async def test_many_views_ask_the_node_once(house: Any, open_competition: str) -> None:
    for _ in range(4):
        await house.page(open_competition)
    assert house.node.asked == 1


async def test_competition_in_preparation_has_a_page_and_a_line(house: Any) -> None:
    lane = await house.bare(Created())
    page = await house.page(lane)
    assert "A competition in preparation" in page
    assert "Terms hash" not in page
    listed = text_of((await house.browser.get("/")).text)
    assert "A competition in preparation In preparation 0 not fixed yet" in listed


async def test_keygen_names_who_is_awaited_and_until_when(house: Any) -> None:
    state = AwaitingKeygen(roster=house.ids[:3], attempt=1, event_id=house.ids[0])
    facts = [*house.entries(3, HoldState.ACCEPTED), house.session(3), *house.seals(2)]
    page = await house.page(await house.competition(state, facts))
    text = text_of(page)
    assert current_step(page) == "Closing"
    assert "attempt 1" in text
    awaited = page[page.index('id="awaited-heading"') : page.index('id="entries-heading"')]
    assert names(house)[2] in awaited
    assert not any(name in awaited for name in names(house, 2))
    assert "seal the key" in awaited
    assert 'datetime="2026-09-21T14:23:20Z"' in awaited
    assert text.count("KORD temp_high: over") == 2
    assert "hidden" in page[page.index(names(house)[2], page.index('id="entries-heading"')) :]


async def test_only_the_first_picks_of_an_entry_are_listed(house: Any) -> None:
    state = AwaitingKeygen(roster=house.ids[:1], attempt=1, event_id=house.ids[0])
    facts = [*house.entries(1, HoldState.ACCEPTED), house.session(1), *house.seals(1, picks=15)]
    page = await house.page(await house.competition(state, facts))
    assert page.count("KORD temp_high") == 12
    assert "and 3 more" in page


async def test_kick_off_that_is_held_back_says_why(house: Any) -> None:
    state = EntriesSubmitted(roster=house.ids[:3], attempt=2, event_id=house.ids[0])
    held = [KickOffHeld(attempt=1, reason="an older reason"), KickOffHeld(attempt=2, reason="the wallet is too small")]
    text = text_of(await house.page(await house.competition(state, [*house.entries(3, HoldState.ACCEPTED), *held])))
    assert "The start is held back: the wallet is too small" in text
    assert "an older reason" not in text


async def test_signing_shows_the_contract_but_no_verified_signatures_yet(house: Any, pinned: Any) -> None:
    state = AwaitingSigning(roster=house.ids[:3], attempt=1, event_id=house.ids[0], funding_txid=house.funding)
    batches = BatchesOpen(attempt=1, batches=(Batch("b", 0, 26),), opened_at=house.now)
    lane = await house.competition(state, [*house.entries(3, HoldState.ACCEPTED), *pinned(house), batches])
    page = await house.page(lane)
    text = text_of(page)
    assert current_step(page) == "Signing"
    assert f"{house.funding}:1" in page
    assert "151,234 sat" in text
    assert "4.00 sat/vB" in text
    assert "6 rankings, refund to all, and the expiry" in text
    assert "26 signatures to come" in text
    assert text.count("compare the contract") == 3
    assert house.terms.oracle.public_key in page
    assert "every one verified" not in text
    await house.add_facts(lane, ContractSigned(attempt=1, blob="c0" * 32, expiry_txid="e0" * 32))
    assert "26 signatures, every one verified" in text_of(await house.page(lane))


async def test_contract_of_an_abandoned_attempt_is_not_shown(house: Any, pinned: Any) -> None:
    state = AwaitingKeygen(roster=house.ids[:3], attempt=2, event_id=house.ids[1])
    facts = [*house.entries(4, HoldState.ACCEPTED), house.session(4), *pinned(house)]
    page = await house.page(await house.competition(state, facts))
    assert house.funding not in page
    assert "left out; ticket held" in text_of(page)


async def test_waiting_shows_the_funding_with_its_height(house: Any, pinned: Any) -> None:
    state = AwaitingAttestation(
        roster=house.ids[:3], event_id=house.ids[0], funding_txid=house.funding, written_off=(), **CONTRACT
    )
    facts = [
        *house.entries(3, HoldState.SETTLED),
        *pinned(house),
        ContractSigned(attempt=1, blob="c0" * 32, expiry_txid="e0" * 32),
    ]
    lane = await house.competition(state, [*facts, Sent(role="funding", txid=house.funding)])
    assert "waits for a block" in await house.page(lane)
    await house.confirm(lane, house.funding)
    page = await house.page(lane)
    text = text_of(page)
    assert current_step(page) == "Waiting for the result"
    assert "Funding deadline" not in text
    assert f"Funding of the contract {house.funding} block 900,000 (1 confirmation)" in text
    assert text.count("ticket settled") == 3
    assert "902 sat" in text, "the network fees as they were fixed at the reservations"


async def test_paying_out_names_winners_and_what_became_of_each_prize(house: Any, pinned: Any) -> None:
    outcome = ranking_index((2, 0), 3)
    state = OutcomeBroadcasted(roster=house.ids[:3], funding_txid=house.funding, outcome=outcome, **CONTRACT)
    facts = [
        *house.entries(3, HoldState.SETTLED),
        *pinned(house),
        Attested(outcome=outcome, attestation="01" * 32, txid=house.outcome),
    ]
    lane = await house.competition(
        state, [*facts, house.payout(2, PrizeState.PAID), Sent(role="outcome", txid=house.outcome)]
    )
    page = await house.page(lane)
    text = text_of(page)
    assert current_step(page) == "Paying out"
    result = page[page.index('id="result-heading"') : page.index('id="entries-heading"')]
    first, second = result.index(names(house)[2]), result.index(names(house)[0])
    assert first < second
    assert names(house)[1] not in result
    assert "89,540 sat paid over Lightning, against the payout preimage" in text
    assert "59,690 sat waits for the winner" in text


async def test_failed_payment_stays_visible(house: Any, pinned: Any) -> None:
    outcome = ranking_index((2, 0), 3)
    state = OutcomeBroadcasted(roster=house.ids[:3], funding_txid=house.funding, outcome=outcome, **CONTRACT)
    failed = house.payout(2, PrizeState.CLAIMABLE, failure="no route")
    lane = await house.competition(state, [*house.entries(3, HoldState.SETTLED), *pinned(house), failed])
    assert "the last payment failed: no route" in await house.page(lane)


async def test_refund_to_all_gives_every_stake_back(house: Any, pinned: Any) -> None:
    outcome = outcome_count(3, 2) - 1
    state = OutcomeBroadcasted(roster=house.ids[:3], funding_txid=house.funding, outcome=outcome, **CONTRACT)
    text = text_of(
        await house.page(await house.competition(state, [*house.entries(3, HoldState.SETTLED), *pinned(house)]))
    )
    assert "no ranking, every stake goes back" in text
    assert text.count("stake npub1") == 3


async def test_done_says_who_was_paid_and_who_claimed_on_chain(house: Any, pinned: Any) -> None:
    outcome = ranking_index((2, 0), 3)
    state = Completed(funding_txid=house.funding, outcome=outcome)
    facts = [*house.entries(3, HoldState.SETTLED), *pinned(house), house.payout(2, PrizeState.PAID)]
    sent = [Sent(role="outcome", txid=house.outcome), Sent(role="funding", txid=house.funding)]
    lane = await house.competition(state, [*facts, *sent])
    await house.confirm(lane, house.funding)
    await house.confirm(lane, house.outcome, f"{house.funding}:1")
    await house.confirm(lane, house.split, f"{house.outcome}:0")
    await house.confirm(lane, "c1" * 32, f"{house.split}:0")
    page = await house.page(lane)
    text = text_of(page)
    assert page.count('<li class="done"') == 7
    assert text.index(f"Funding of the contract {house.funding}") < text.index(f"Outcome {house.outcome}")
    assert current_step(page) is None
    assert "89,540 sat paid over Lightning" in text
    assert "59,690 sat claimed on chain" in text
    assert "Spends output 0 of: Outcome" in text
    await house.add_facts(lane, Sent(role="split", txid=house.split))
    assert "Spends output 0 of: Split into prizes" in text_of(await house.page(lane))
    assert "hx-get" not in page, "nothing will change: nothing is asked for"


async def test_done_with_a_debt_is_still_refreshed(house: Any, pinned: Any) -> None:
    outcome = ranking_index((2, 0), 3)
    facts = [*house.entries(3, HoldState.SETTLED), *pinned(house), house.payout(2, PrizeState.PAID)]
    role = f"sweep:reclaim:{house.ids[0]}"
    built = Built(attempt=1, role=role, txid="c1" * 32, spends=f"{house.split}:0", at=UnixTime(0))
    swept = [built, Sent(role=role, txid="c1" * 32)]
    lane = await house.competition(Completed(funding_txid=house.funding, outcome=outcome), [*facts, *swept])
    await house.confirm(lane, house.outcome, f"{house.funding}:1")
    await house.confirm(lane, house.split, f"{house.outcome}:0")
    await house.confirm(lane, "c1" * 32, f"{house.split}:0")
    page = await house.page(lane)
    assert "owed by the coordinator" in page
    assert "Unclaimed output reclaimed" in page
    assert "hx-get" in page


async def test_split_of_a_void_prize_says_so(house: Any, pinned: Any) -> None:
    outcome = ranking_index((2, 0), 3)
    state = DeltaBroadcasted(
        roster=house.ids[:3],
        funding_txid=house.funding,
        outcome=outcome,
        split_txid=house.split,
        written_off=(house.ids[0],),
        **CONTRACT,
    )
    page = await house.page(await house.competition(state, [*house.entries(3, HoldState.SETTLED), *pinned(house)]))
    assert "void: the ticket was given back" in page


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (Returning(reason=HOSTILE, ends_in="cancelled"), "Returning"),
        (Cancelled(reason=HOSTILE), "Cancelled"),
        (Failed(reason=HOSTILE), "Failed"),
    ],
)
async def test_ends_without_a_contract_show_reason_and_tickets(house: Any, state: Any, name: str) -> None:
    page = await house.page(await house.competition(state, house.entries(2, HoldState.CANCELED)))
    assert current_step(page) is None
    assert f'<span class="badge aside">{name}</span>' in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in page
    assert "Tickets: 2 given back." in page
    assert ("hx-get" in page) == (name == "Returning")


async def test_tickets_that_are_owed_are_not_called_given_back(house: Any) -> None:
    facts = [*house.entries(1, HoldState.CANCELED), *house.entries(2, HoldState.SETTLED)[3:]]
    page = await house.page(await house.competition(Cancelled(reason="funding was taken back"), facts))
    assert "Tickets: 1 given back, 1 settled before and owed by the coordinator." in page


async def test_tickets_that_were_never_paid_are_neither_listed_nor_given_back(house: Any) -> None:
    facts = [*house.entries(1, HoldState.CANCELED), *house.unpaid(1, HoldState.CANCELED)]
    page = await house.page(await house.competition(Cancelled(reason="too few players"), facts))
    assert "Tickets: 1 given back." in page
    assert names(house)[1] not in page


async def test_hostile_titles_are_text(house: Any) -> None:
    lane = await house.competition(CollectingEntries(terms_hash="00"), title=HOSTILE)
    for page in (await house.page(lane), (await house.browser.get("/")).text):
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;" in page


async def test_trouble_for_an_operator_is_public(house: Any) -> None:
    fact = NeedsOperator(topic="dust/split", reason="an output is dust", resume="write it off")
    page = await house.page(await house.competition(CollectingEntries(terms_hash="00"), [fact]))
    assert "An operator has to look at this: an output is dust" in page


def test_every_state_has_words() -> None:
    tags = {kind.__struct_config__.tag for kind in get_args(Competition)}
    assert tags == set(STATES) == set(STEPS) | set(ASIDE)
