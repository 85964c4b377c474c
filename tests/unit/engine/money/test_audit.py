"""The audit of the books: what does not add up freezes new money and calls the operator; unknown is not zero."""

from __future__ import annotations

import math
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.engine.alarms import of_attention
from coordinator.engine.metrics.meters import Meters
from coordinator.engine.metrics.money import publish_money
from coordinator.engine.money.audit import GAP_SECONDS, WALLET_SECONDS
from coordinator.engine.money.buckets import Bucket
from coordinator.ports.alerts import AlertName
from coordinator.ports.bitcoin import Holdings
from coordinator.ports.faults import Unreachable
from coordinator.ports.lightning import Liquidity
from coordinator_core.errors import Fault
from coordinator_core.units import Sats
from tests.support import lanes as b

PRICE = 52_400
SETTLED = b.seats(["entry-1"], HoldState.SETTLED)


@pytest.fixture
def rich(desk: Any, monkeypatch: Any) -> Any:
    """Channels with something in them."""
    desk.local = 1_000_000

    async def liquidity() -> Liquidity:
        return Liquidity(Sats(0), Sats(0), None if desk.local is None else Sats(desk.local))

    monkeypatch.setattr(desk.lightning, "liquidity", liquidity)
    return desk


def samples(desk: Any) -> dict[str, float]:
    meters = Meters()
    publish_money(meters, desk.office, desk.bench.house.clock.now())
    lines = (line.rsplit(" ", 1) for line in meters.exposition().splitlines() if not line.startswith("#"))
    return {name.removeprefix("coordinator_"): float(value) for name, value in lines}


async def test_books_that_balance(rich: Any, house: Any) -> None:
    await house.lane(s.CollectingEntries(terms_hash="h"), *b.seats(), name="one")
    await house.lane(s.Cancelled(reason="r"), *SETTLED, b.owed("entry-1"), name="two")
    await rich.office.audit.look()
    known = {bucket: amount.sats for bucket, amount in rich.office.audit.buckets.items()}
    assert known == {
        Bucket.HELD: 3 * PRICE,
        Bucket.ESCROWED: 0,
        Bucket.IN_CONTRACT: 0,
        Bucket.OWED: PRICE,
        Bucket.PAID: 0,
        Bucket.SWEPT: 0,
        Bucket.LEFT: 0,
        Bucket.WALLET: 1_000_000,
        Bucket.RESERVED: 0,
    }
    assert known.keys() == set(Bucket)
    assert rich.office.audit.gap == PRICE - 2_000_000
    assert rich.office.audit.faults == ()
    assert rich.freezer.frozen is None


async def test_a_planted_imbalance_freezes_new_money_and_calls_the_operator(rich: Any, house: Any) -> None:
    lane = await house.lane(s.Cancelled(reason="r"), *SETTLED)
    await rich.office.audit.look()
    assert (rich.freezer.frozen.reason, rich.freezer.frozen.by) == ("the books do not add up", "coordinator")
    [need] = rich.office.needs()
    assert (need.kind, need.lane) == ("books", lane)
    assert "neither in a contract nor owed" in need.reason
    [alert] = of_attention([need])
    assert alert.name is AlertName.BOOKS_OUT_OF_BALANCE
    assert samples(rich)["money_faults"] == 1
    # An operator lets new money in: the next audit looks again.
    await rich.freezer.unfreeze(rich.by())
    await rich.office.audit.look()
    assert rich.freezer.frozen is not None
    # Mended, and let in again: it stays.
    await house.put(lane, b.owed("entry-1"))
    house.wakeups.changed(lane)
    await rich.office.audit.look()
    await rich.freezer.unfreeze(rich.by("2"))
    await rich.office.audit.look()
    assert (rich.freezer.frozen, rich.office.needs(), samples(rich)["money_faults"]) == (None, (), 0)


async def test_what_froze_new_money_first_stays_said(rich: Any, house: Any) -> None:
    await rich.freezer.freeze(rich.by(reason="an audit of our own"))
    await house.lane(s.Cancelled(reason="r"), *SETTLED)
    await rich.office.audit.look()
    assert (rich.freezer.frozen.reason, rich.freezer.frozen.by) == ("an audit of our own", "operator")


async def test_a_competition_is_read_again_when_it_changed_and_one_that_is_over_no_more(rich: Any, house: Any) -> None:
    lane = await house.lane(s.CollectingEntries(terms_hash="h"))
    await rich.office.audit.look()
    await house.put(lane, *b.seats())
    await rich.office.audit.look()
    assert rich.office.audit.buckets[Bucket.HELD].sats == 0
    house.wakeups.changed(lane)
    await rich.office.audit.look()
    assert rich.office.audit.buckets[Bucket.HELD].sats == 3 * PRICE


class TestGap:
    """We owe more than we have."""

    @pytest.fixture
    async def owing(self, rich: Any, house: Any) -> Any:
        await house.lane(s.Cancelled(reason="r"), *SETTLED, b.owed("entry-1"))
        rich.bench.services.wallet.coins = 1_000
        rich.local = 1_000
        await rich.office.audit.look()
        return rich

    async def test_it_counts_once_it_has_stood_for_a_while(self, owing: Any, house: Any) -> None:
        assert owing.office.audit.gap == PRICE - 2_000
        assert owing.freezer.frozen is None
        house.clock.seconds += max(GAP_SECONDS, WALLET_SECONDS)
        await owing.office.audit.look()
        [fault] = owing.office.audit.faults
        assert (fault.lane, fault.what) == (None, f"we owe {PRICE - 2_000} sat more than we have")
        assert owing.freezer.frozen is not None

    async def test_it_stands_as_judged_until_it_is_the_wallets_turn_again(self, owing: Any, house: Any) -> None:
        """One reading of the wallet is one judgement, however often the books are looked at."""
        house.clock.seconds += GAP_SECONDS
        await owing.office.audit.look()
        assert owing.office.audit.gap == PRICE - 2_000
        assert samples(owing)["money_gap_sats"] == PRICE - 2_000
        assert owing.office.audit.faults == ()

    async def test_coins_that_move_close_it(self, owing: Any, house: Any) -> None:
        owing.bench.services.wallet.coins = PRICE
        house.clock.seconds += WALLET_SECONDS
        await owing.office.audit.look()
        house.clock.seconds += WALLET_SECONDS
        await owing.office.audit.look()
        assert owing.office.audit.faults == ()

    @pytest.mark.parametrize("service", ["wallet", "lightning"])
    async def test_nothing_is_judged_on_what_nobody_says(self, owing: Any, house: Any, service: str) -> None:
        async def away() -> Holdings:
            raise Unreachable(service, "no answer", fault=Fault.NODE)

        call = {"wallet": "holdings", "lightning": "liquidity"}[service]
        setattr(getattr(owing.bench.services, service), call, away)
        house.clock.seconds += 10 * WALLET_SECONDS
        await owing.office.audit.look()
        assert owing.office.audit.gap is None
        assert owing.freezer.frozen is None
        shown = samples(owing)
        assert math.isnan(shown["money_gap_sats"])
        # What it said last stays, with its age.
        assert shown['money_age_seconds{bucket="wallet"}'] == (10 * WALLET_SECONDS if service == "wallet" else 0)
        assert shown['money_sats{bucket="wallet"}'] == 1_000

    async def test_a_lightning_node_that_does_not_tell_leaves_it_unknown(self, owing: Any, house: Any) -> None:
        owing.local = None
        house.clock.seconds += WALLET_SECONDS
        await owing.office.audit.look()
        assert owing.office.audit.gap is None

    async def test_coins_of_a_bump_under_way_are_nowhere_for_a_while(self, owing: Any, house: Any) -> None:
        bump = f.Bumped(
            attempt=1, role="outcome", number=1, bump=f.BumpKind.CHILD, txid="aa" * 32, fee=Sats(1), spends=b.COIN,
            coins=(b.COIN,),
        )  # fmt: skip
        await house.put(await house.lane(b.outcome_broadcasted(), b.pinned(), name="other"), bump)
        house.wakeups.changed("other")
        house.clock.seconds += WALLET_SECONDS
        await owing.office.audit.look()
        assert owing.office.audit.gap is None


async def test_before_the_first_audit_nothing_is_shown_as_zero(rich: Any) -> None:
    shown = samples(rich)
    assert not any(name.startswith(("money_sats", "money_age")) for name in shown)
    assert math.isnan(shown["money_gap_sats"])
    assert math.isnan(shown["money_faults"])
    assert shown["money_reconciled"] == 0
    assert not any(name.startswith("money_unexplained") for name in shown)


async def test_an_unreadable_competition_hides_no_other(rich: Any, house: Any) -> None:
    await house.lane(s.Cancelled(reason="r"), *SETTLED, name="bad")
    await house.lane(s.CollectingEntries(terms_hash="h"), *b.seats(), name="good")
    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE fact SET v = 9 WHERE lane = 'bad'")
    await rich.office.audit.look()
    assert rich.office.audit.buckets[Bucket.HELD].sats == 3 * PRICE
