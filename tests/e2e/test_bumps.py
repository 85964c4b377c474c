"""Fees rise while transactions of the contract wait: they are bumped until they confirm, and every satoshi is found."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from coordinator_core.transaction import PAY_TO_ANCHOR, OutPoint, Transaction
from tests.e2e.application import Competition, TestApp
from tests.e2e.chain import with_inputs
from tests.e2e.mock_oracle import Outcome
from tests.e2e.node_proxy import NodeProxy
from tests.e2e.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

HALF_AN_HOUR = 1_800
HOPELESS = 600_000
"""sat/kvB at which a child of the funding would cost more than the stakes of three."""
CALM = {"1": 2_000}
"""What the stack's node estimates, in sat/kvB."""


@pytest_asyncio.fixture(loop_scope="session")
async def calm_again(app: TestApp) -> AsyncIterator[None]:
    """The node's fees as they were, after the test, and a coordinator that remembers no others."""
    yield
    for method, value in (("setblockfloor", 1), ("setmempoolminimum", 0), ("setfeeestimates", CALM)):
        await app.services.rpc(method, value)
    await app.restart_coordinator()


async def test_a_funding_that_no_miner_takes_is_bumped_through_its_change(app: TestApp, calm_again: None) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    txid = await app.wait_for_funding(competition)
    await app.services.rpc("setblockfloor", 6_000)
    await app.services.rpc("setfeeestimates", {"1": 12_000, "6": 8_000})
    await app.mine_blocks()
    assert await app.chain.confirmations(txid) == 0
    assert await _change_spender(app, txid) is None, "it waits half an hour first"

    await app.chain.pass_until(await app.chain.refresh() + HALF_AN_HOUR)
    child = await wait_for(lambda: _change_spender(app, txid), "a child of the funding")
    competition.bumps.add(child)
    assert await app.chain.confirmations(txid) == 0
    await _require_rate(app, txid, child, 8_000)
    # Fees rise once more: the child is replaced, not joined by another.
    await app.services.rpc("setfeeestimates", {"1": 30_000, "6": 20_000})
    dearer = await wait_for(lambda: _other_change_spender(app, txid, child), "a dearer child")
    competition.bumps = {dearer}
    await _require_rate(app, txid, dearer, 20_000)
    # A coordinator that was killed comes back to the same child.
    await app.restart_coordinator()
    await app.services.rpc("setblockfloor", 20_000)
    await app.mine_blocks()
    assert await app.chain.confirmations(txid) == await app.chain.confirmations(dearer) == 1
    await app.services.rpc("setblockfloor", 1)
    await app.services.rpc("setfeeestimates", CALM)
    await _finish(app, competition)
    assert await _booked(app, competition) == (await with_inputs(app.chain, dearer)).fee


async def test_an_outcome_below_the_mempool_floor_goes_with_a_child_of_its_anchor(
    app: TestApp, calm_again: None
) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    await app.services.rpc("setmempoolminimum", 8_000)
    await app.services.rpc("setblockfloor", 8_000)
    await app.services.rpc("setfeeestimates", {"1": 20_000, "6": 10_000})
    free = (await app.services.operator("GET", "/wallet"))["onchain_free"]
    event = competition.terms.oracle.event_ids[await app.attempt(competition)]
    app.oracle.queue_attestation(event, Outcome((1,)))
    await app.advance_time(competition.terms.observation.signing_date)
    await app.wait_for_state(competition, "outcome_broadcasted")
    outcome = await wait_for(lambda: app.get_outcome_tx(competition), "the outcome in the node")
    assert await app.chain.refusal(outcome) is None
    child = await wait_for(lambda: _anchor_spender(app, outcome), "its child")
    assert (await app.services.operator("GET", "/wallet"))["onchain_free"] < free, "its coin is reserved"
    await _require_rate(app, outcome.txid[::-1].hex(), child, 10_000)
    await app.mine_blocks()
    assert await app.chain.confirmations(outcome.txid[::-1].hex()) == await app.chain.confirmations(child) == 1
    await app.services.rpc("setmempoolminimum", 0)
    await app.services.rpc("setblockfloor", 1)
    await app.services.rpc("setfeeestimates", CALM)
    await app.take_prizes(competition)
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    changes = await app.require_balanced_books(competition)
    assert "anchors" not in changes, "the anchor paid for its own transaction"
    assert await _booked(app, competition) == (await with_inputs(app.chain, child)).fee

    async def nothing_reserved() -> bool:
        wallet = await app.services.operator("GET", "/wallet")
        return bool(wallet["onchain_free"] == wallet["onchain_total"])

    await wait_for(nothing_reserved, "the fee coin to be free again")


async def test_killed_between_pin_and_broadcast_of_a_child_one_child_leaves(app: TestApp, calm_again: None) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    await app.services.rpc("setmempoolminimum", 8_000)
    await app.services.rpc("setfeeestimates", {"1": 20_000, "6": 10_000})
    event = competition.terms.oracle.event_ids[await app.attempt(competition)]
    async with NodeProxy(app.services.stack) as proxy:
        app.kill_coordinator()
        with proxy.in_front():
            await app.start_coordinator()
        killed = proxy.kill_at("submitpackage", app.kill_coordinator)
        app.oracle.queue_attestation(event, Outcome((1,)))
        await app.advance_time(competition.terms.observation.signing_date)
        [first] = await killed
    assert await app.services.rpc("getrawmempool") == [], "nothing left"
    # Another estimate would make another child, if the first one was not pinned.
    await app.services.rpc("setfeeestimates", {"1": 20_000, "6": 9_000})
    await app.start_coordinator()
    outcome = await wait_for(lambda: app.get_outcome_tx(competition), "the outcome in the node")
    child = await wait_for(lambda: _anchor_spender(app, outcome), "its child")
    assert Transaction.from_hex(first[-1]).txid[::-1].hex() == child
    pool = await app.services.rpc("getrawmempool")
    assert sorted(pool) == sorted([outcome.txid[::-1].hex(), child])
    await app.mine_blocks()
    await app.services.rpc("setmempoolminimum", 0)
    await app.services.rpc("setfeeestimates", CALM)
    await app.take_prizes(competition)
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    await app.require_balanced_books(competition)
    assert await _booked(app, competition) == (await with_inputs(app.chain, child)).fee


async def test_a_close_that_no_miner_takes_is_signed_again(app: TestApp, calm_again: None) -> None:
    competition = await app.create_competition(entries=3)
    await app.sell_and_sign(competition, 3)
    await app.confirm_funding(competition)
    await app.attest(competition, Outcome((1,)))
    await app.services.rpc("setblockfloor", 6_000)
    await app.take_prizes(competition)
    contract = await app.contract(competition)
    output = contract.outcome_outpoint(contract.outcomes[1])
    first = await wait_for(lambda: app.chain.spender(output), "the close")
    await app.services.rpc("setfeeestimates", {"6": 8_000})
    await app.chain.pass_until(await app.chain.refresh() + HALF_AN_HOUR)

    async def replaced() -> str | None:
        found = await app.chain.spender(output)
        return found if found != first else None

    again = await wait_for(replaced, "the close at a higher fee")
    assert await app.services.rpc("getrawmempool") == [again]
    spent = await with_inputs(app.chain, again)
    assert 8_000 <= spent.fee * 1_000 / spent.transaction.vsize < 8_100
    await app.services.rpc("setblockfloor", 8_000)
    await app.mine_blocks()
    await app.wait_for_state(competition, "completed")
    shown = await app.show(competition.id)
    assert shown is not None
    assert {item["txid"] for item in shown["transactions"] if item["role"] == "close"} == {again}
    await app.require_balanced_books(competition)


async def test_a_funding_that_no_bump_brings_in_is_given_up_and_its_coin_taken_back(
    app: TestApp, calm_again: None
) -> None:
    competition = await app.create_competition(entries=3)
    await app.join_all(competition, 3)
    await app.close_entries(competition)
    async with asyncio.TaskGroup() as group:
        group.create_task(app.keep_appointments(competition))
        await app.wait_for_state(competition, "awaiting_signing")
        # The contract is pinned at the old rate. Now the node takes nothing whose child costs less than the stakes.
        await app.services.rpc("setmempoolminimum", HOPELESS)
    await app.wait_for_state(competition, "funding_broadcasted")
    funding = (await app.contract(competition)).outpoint.txid[::-1].hex()
    await _reach(app, competition.terms.schedule.funding_deadline + 18)
    coin = await wait_for(lambda: _only_in_mempool(app), "the coin on its way back")
    assert coin != funding
    assert await app.ticket_states(competition) == ["CANCELED"] * 3
    # It waits as well, and is bumped as well.
    await app.services.rpc("setblockfloor", 2 * HOPELESS)
    await app.services.rpc("setfeeestimates", {"6": 2 * HOPELESS})
    await app.chain.pass_until(await app.chain.refresh() + HALF_AN_HOUR)

    async def replaced() -> str | None:
        found = await _only_in_mempool(app)
        return found if found != coin else None

    again = await wait_for(replaced, "the coin on its way back at a higher fee")
    await app.mine_blocks()
    await app.wait_for_state(competition, "failed")
    assert await app.chain.confirmations(again) == 1
    changes = await app.require_unfunded_books(competition)
    assert changes == {"coordinator, on chain": -1_000 * (await with_inputs(app.chain, again)).fee}


async def _reach(app: TestApp, height: int) -> None:
    """One block at a time, each seen by everyone: holds are open."""
    while await app.chain.height() < height:
        await app.mine_blocks()
        await app.wait_for_tip()


async def _only_in_mempool(app: TestApp) -> str | None:
    pool = await app.services.rpc("getrawmempool")
    return pool[0] if len(pool) == 1 else None


async def _finish(app: TestApp, competition: Competition) -> None:
    await app.wait_for_state(competition, "awaiting_attestation")
    await app.attest(competition, Outcome((1,)))
    await app.take_prizes(competition)
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    assert await app.ticket_states(competition) == ["SETTLED"] * 3
    await app.require_balanced_books(competition)


async def _booked(app: TestApp, competition: Competition) -> int:
    """What the coordinator's own books say that bumps cost."""
    books = await app.services.operator("GET", f"/competitions/{competition.id}/books")
    return -int(books["fee bumps"])


async def _change_spender(app: TestApp, funding: str) -> str | None:
    return await app.chain.spender(OutPoint.parse(f"{funding}:1"))


async def _other_change_spender(app: TestApp, funding: str, known: str) -> str | None:
    found = await _change_spender(app, funding)
    return found if found != known else None


async def _anchor_spender(app: TestApp, parent: Transaction) -> str | None:
    index = next(n for n, output in enumerate(parent.outputs) if output.script_pubkey == PAY_TO_ANCHOR)
    return await app.chain.spender(parent.outpoint(index))


async def _require_rate(app: TestApp, parent: str, child: str, sat_per_kvb: int) -> None:
    """Both together pay the rate, and less than a tenth more."""
    both = [await with_inputs(app.chain, txid) for txid in (parent, child)]
    fee, vsize = sum(one.fee for one in both), sum(one.transaction.vsize for one in both)
    assert sat_per_kvb <= fee * 1_000 / vsize < sat_per_kvb * 1.1
