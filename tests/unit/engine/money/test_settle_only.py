"""Settle-only: nothing new is taken on, what is owed goes on; said once, for ever in the audit log."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.engine.new_money import NewMoneyPaused
from coordinator.engine.submit import Conflict
from tests.support import lanes as b
from tests.unit.engine.money.test_reconciliation import PROTECTIVE

EXPANSIVE = (
    d.CreateInvoice(entry_id="entry-1", generation=1, payment_hash="aa" * 32),
    d.Broadcast(role="funding", attempt=1, contract=b.CONTRACT),
    d.PinContract(attempt=1, roster=b.ROSTER, event_id=b.EVENT),
)
OWED = (d.PayPrize(entry_id="entry-1", payment_hash="aa" * 32, cltv_limit=0), *PROTECTIVE)


@pytest.fixture
async def ready(desk: Any) -> Any:
    await desk.reconciliation.advance()
    return desk


@pytest.mark.parametrize("duty", EXPANSIVE, ids=lambda duty: duty.kind())
async def test_nothing_new_is_begun(ready: Any, duty: d.Duty) -> None:
    lane = b.Story().lane
    assert ready.office.gate.held(duty, lane) is None
    await ready.office.settle_only.begin(ready.by(reason="we move house"))
    assert "nothing new is taken on" in ready.office.gate.held(duty, lane)
    with pytest.raises(NewMoneyPaused, match="we move house"):
        ready.office.settle_only.require_off()
    [pause] = ready.office.pauses()
    assert (pause.dependency, "we move house" in pause.reason) == ("operator", True)


@pytest.mark.parametrize("duty", OWED, ids=lambda duty: duty.kind())
async def test_what_is_owed_goes_on(ready: Any, duty: d.Duty) -> None:
    await ready.office.settle_only.begin(ready.by())
    assert ready.office.gate.held(duty, b.Story().lane) is None


async def test_a_funding_that_left_goes_on(ready: Any) -> None:
    await ready.office.settle_only.begin(ready.by())
    sent = b.Story().put(f.Sent(role="funding", txid=b.FUNDING)).lane
    assert ready.office.gate.held(EXPANSIVE[1], sent) is None


async def test_it_outlives_the_process_until_it_is_ended(ready: Any, house: Any) -> None:
    await ready.office.settle_only.begin(ready.by("1", "we move house"))
    restarted = ready.again()
    await restarted.office.settle_only.load()
    assert restarted.office.settle_only.since.reason == "we move house"
    await restarted.office.settle_only.end(ready.by("2", "we stay"))
    # A repeated request must not bring back what was ended since.
    await ready.office.settle_only.begin(ready.by("1", "we move house"))
    assert not ready.office.settle_only.is_on
    restarted.office.settle_only.require_off()
    assert await house.rows("SELECT act, reason FROM audit ORDER BY seq") == [
        ("settle-only", "we move house"),
        ("take-on", "we stay"),
    ]


async def test_what_the_settings_say_no_command_ends(configured: Any) -> None:
    settle_only = configured.office.settle_only
    await settle_only.load()
    assert settle_only.is_on
    with pytest.raises(Conflict, match="the settings say so"):
        await settle_only.end(configured.by())
    assert settle_only.is_on
