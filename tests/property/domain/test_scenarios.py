"""Rare ways through the small world, each driven on purpose: random traces seldom meet them."""

from __future__ import annotations

from typing import get_args

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.duties import AnyDuty
from coordinator.domain.facts import HoldState
from tests.support import lanes as b
from tests.support.small_world.chain_effects import expiry_tx
from tests.support.small_world.driver import Driver
from tests.support.small_world.effects import EFFECTS
from tests.support.small_world.judging import judge, judge_end
from tests.support.small_world.lightning import Sent
from tests.support.small_world.outside import Keymeld, Service
from tests.support.transitions import edges

EDGES = edges()


def ends(d: Driver) -> s.Competition:
    d.let_it_end()
    judge(d.played, EDGES)
    judge_end(d.played)
    return d.played.state


def holds(d: Driver) -> list[HoldState]:
    return [hold.state for hold in d.world.lightning.holds.values()]


def attested_late(before_expiry: int) -> Driver:
    """The oracle is silent until so many seconds before the expiry; then every winner asks to be paid at once."""
    d = Driver.drafted(3, 0)
    d.until("awaiting_attestation")
    d.service(Service.ORACLE, away=True)
    while d.world.chain.view().median_time_past < b.EXPIRY - before_expiry:
        d.time(600)
    d.service(Service.ORACLE, away=False)
    d.work()
    for entry_id in b.PLAYERS:
        d.ask(entry_id, atomic=True, patient=True)
    d.work()
    return d


def expiry_confirms_instead(d: Driver) -> None:
    while d.world.chain.view().median_time_past <= b.EXPIRY:
        d.blocks(1, empty=True)
    assert d.world.chain.announce(expiry_tx(1, b.EXPIRY), replaces=True)
    d.blocks(3)
    d.work()
    assert isinstance(d.played.state, s.ExpiryBroadcasted)


def test_no_prize_is_paid_of_an_outcome_that_the_expiry_may_overtake() -> None:
    d = attested_late(1_800)
    assert not d.world.lightning.payments
    expiry_confirms_instead(d)
    assert isinstance(ends(d), s.Completed)
    assert not d.world.lightning.paid


def test_a_close_of_an_outcome_that_never_confirmed_holds_up_nothing() -> None:
    """Paid in time and closed together, the outcome unconfirmed for six hours all the same: the house loses, and the
    competition still comes to its end.
    """
    d = attested_late(40 * 600)
    for payment_hash in d.world.lightning.in_flight():
        d.world.lightning.resolve(payment_hash, Sent.SUCCEEDED)
    d.work()
    for entry_id in b.PLAYERS:
        d.player(entry_id, "key")
    d.work()
    assert "close@outcome-1-0" in d.world.chain.mempool
    expiry_confirms_instead(d)
    d.let_it_end()
    judge(d.played, EDGES)
    assert isinstance(d.played.state, s.Completed)


def do(d: Driver, kind: str) -> None:
    """One duty of a kind, and nothing else."""
    row = next(row for row in d.played.open_rows() if row.duty.kind() == kind)
    d.played.claim(row)
    d.played.act(row)
    d.played.commit(row)
    d.apply()


@pytest.mark.parametrize("known", [False, True])
def test_short_holds_of_an_unconfirmed_funding_are_decided_once_for_all(known: bool) -> None:
    """Signed and written down, then our node was away until F + 18: settled if somebody has the funding, else given
    back and a coin of it spent to ourselves.
    """
    d = Driver.drafted(3, 0)
    d.until("funding_broadcasted")
    do(d, "chain.broadcast")
    d.service(Service.CHAIN, away=True)
    while d.world.chain.tip < b.DEADLINE + 18:
        d.blocks(1)
    if known:
        d.world.chain.announce(d.world.raw["funding/1"])
    d.service(Service.CHAIN, away=False)
    do(d, "ln.decide_holds")
    d.work()
    assert holds(d).count(HoldState.SETTLED) == (4 if known else 0)
    assert ("take-back-1" in d.world.chain.mempool) is not known
    assert isinstance(ends(d), s.Completed if known else s.Failed)
    assert not d.played.facts.all(f.Owed)


@pytest.mark.parametrize("stage", ["awaiting_attestation", "outcome_broadcasted"])
def test_a_deep_reorg_that_takes_the_funding_away_for_good_ends_in_failed(stage: str) -> None:
    d = Driver.drafted(3, 0)
    d.until(stage)
    funding = d.world.raw["funding/1"]
    rival = type(funding)("double-spend", funding.spends)
    d.world.raw["take-back/1"] = rival
    depth = d.world.chain.tip - d.world.chain.view().confirmed[funding.txid] + 1
    d.reorg(depth, {list(d.world.known_transactions()).index(rival)}, lost=True)
    d.blocks(3)
    assert (stage, "returning") in d.played.edges
    assert isinstance(ends(d), s.Failed)
    assert len(d.played.facts.all(f.Owed)) == holds(d).count(HoldState.SETTLED) == 4


def test_a_reorg_that_leaves_too_few_confirmations_stops_the_settling() -> None:
    """The funding confirmed, no ticket settled yet, then mined again in the last new block: it has to be deep again."""
    d = Driver.drafted(3, 0)
    d.until("funding_confirmed")
    funding = d.world.raw["funding/1"]
    d.reorg(3, {d.world.known_transactions().index(funding)}, lost=False, late=3)
    for depth in (1, 2):
        judge(d.played, EDGES)
        assert d.world.chain.tip - d.world.chain.view().confirmed[funding.txid] + 1 == depth
        d.work()
        assert HoldState.SETTLED not in holds(d)
        d.blocks(1)
    d.work()
    assert holds(d).count(HoldState.SETTLED) == 4
    assert isinstance(ends(d), s.Completed)


@pytest.mark.parametrize("how", [Keymeld.LOST, Keymeld.WRONG, Keymeld.HUNG])
@pytest.mark.parametrize("stage", ["awaiting_keygen", "awaiting_signing"])
def test_a_fault_of_keymeld_leads_to_the_next_attempt_and_drops_nobody(how: Keymeld, stage: str) -> None:
    d = Driver.drafted(3, 0)
    d.until(stage)
    state = d.played.state
    assert isinstance(state, s.AwaitingKeygen | s.AwaitingSigning)
    roster, d.world.keymeld = state.roster, how
    while (stage, "event_created") not in d.played.edges:
        d.progress()
    d.world.keymeld = Keymeld.GOOD
    d.until("funding_broadcasted")
    funded = d.played.state
    assert isinstance(funded, s.FundingBroadcasted)
    assert funded.roster == roster
    assert funded.attempt > 1
    assert isinstance(ends(d), s.Completed)


def test_coins_that_an_ended_attempt_would_reserve_late_do_not_stay_reserved() -> None:
    d = Driver.drafted(3, 0)
    d.until("entries_submitted")
    do(d, "oracle.submit_entries")
    late = next(row for row in d.played.open_rows() if row.duty.kind() == "contract.pin")
    d.played.claim(late)
    d.played.put(f.AttemptFault(attempt=1, reason="the enclave lost its state"))
    d.apply()
    do(d, "wallet.release")
    d.played.act(late)
    assert not d.played.commit(late)
    d.until("funding_ready")
    assert d.world.reserved == {2}
    assert isinstance(ends(d), s.Completed)


def test_every_duty_can_be_done_in_the_small_world() -> None:
    assert set(EFFECTS) == set(get_args(AnyDuty))
