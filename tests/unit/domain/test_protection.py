"""What a stopped competition still does: every duty is told apart, and only what protects somebody goes on."""

from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.protection import moves_while_stopped, protects
from coordinator.domain.versions import DUTIES, STATES
from tests.support import lanes as b
from tests.support.lanes import Story
from tests.support.samples import sample

PROTECTIVE = {
    d.PollAttestation,
    d.WatchInvoice,
    d.DecideHolds,
    d.SettleInvoice,
    d.CancelInvoice,
    d.PayPrize,
    d.Broadcast,
    d.Bump,
    d.ReleaseCoins,
    d.ReleaseFeeCoins,
    d.RecordDebt,
}
EXPANSIVE = {
    d.PublishTerms,
    d.CheckPlanning,
    d.CreateEvent,
    d.SubmitEntries,
    d.CreateInvoice,
    d.ReadHolds,
    d.OpenSession,
    d.RegisterPlayer,
    d.AwaitRoster,
    d.PinContract,
    d.OpenBatches,
    d.OpenSpare,
    d.ForwardApproval,
    d.CollectSignatures,
    d.AssembleContract,
    d.RecordAbsence,
    d.NotifyPlayer,
}
EVERY: list[Any] = list(DUTIES.types.values())


def test_every_duty_is_in_one_of_the_classes_and_says_so_itself() -> None:
    assert set(EVERY) == PROTECTIVE | EXPANSIVE
    assert not PROTECTIVE & EXPANSIVE
    for kind in EVERY:
        assert "protective" in vars(kind), f"{kind.__name__}: say whether it is protective"
        assert kind.protective is (kind in PROTECTIVE)
        assert protects(sample(kind), Story().lane) is (kind in PROTECTIVE)


def funding() -> d.Broadcast:
    return d.Broadcast(role="funding", attempt=1, contract=b.CONTRACT)


def test_the_funding_is_expansive_until_it_is_known_to_have_left() -> None:
    for duty in (funding(), d.Bump(broadcast=funding())):
        assert not protects(duty, Story().lane)
        # Built is not sent: the process, or the node, may have been away since.
        assert not protects(duty, Story().put(b.built("funding", b.FUNDING)).lane)
        assert not protects(duty, Story().put(f.Sent(role="outcome", txid=b.OUTCOME)).lane)
        assert protects(duty, Story().put(f.Sent(role="funding", txid=b.FUNDING)).lane)
        assert protects(duty, Story().put(b.invoice("entry-1", f.HoldState.SETTLED)).lane)


@pytest.mark.parametrize("role", ["outcome", "expiry", "split", "close", "reclaim", "sweep:sellback:entry-1"])
def test_what_follows_from_the_funding_protects(role: str) -> None:
    assert protects(d.Broadcast(role=role, attempt=1, contract=b.CONTRACT), Story().lane)


def test_from_the_funding_on_a_stopped_competition_moves() -> None:
    moving = {kind.__name__ for kind in STATES.types.values() if moves_while_stopped(sample(kind))}
    assert moving == {
        "FundingBroadcasted",
        "FundingConfirmed",
        "AwaitingAttestation",
        "OutcomeBroadcasted",
        "ExpiryBroadcasted",
        "DeltaBroadcasted",
    }
    assert not moves_while_stopped(s.Created())
