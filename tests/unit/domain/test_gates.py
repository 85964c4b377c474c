"""What waits while the chain or Lightning is behind, and what never does (engine A-04, money section 2)."""

from __future__ import annotations

from typing import get_args

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.gates import (
    LIGHTNING_BEHIND,
    LIGHTNING_SILENT,
    NODE_SILENT,
    Consequence,
    Sight,
    asks_only,
    consequence,
    held,
)
from coordinator_core.units import Blocks
from tests.support import lanes as b
from tests.support.lanes import Story
from tests.support.samples import sample

NONE, ENTRY, IRREVOCABLE, PROTECTIVE = Consequence
BEHIND = {2: "2 blocks of the Bitcoin node", 7: "7 blocks of the Bitcoin node"}
FUNDING = d.Broadcast(role="funding", attempt=1, contract="c")


def sight(lag: int | None, *, fresh: bool = False, lightning: bool | None = True) -> Sight:
    """`fresh`: the blocks were found just now."""
    known = None if lag is None else Blocks(lag)
    return Sight(lag=known, late=Blocks(0) if fresh and lag is not None else known, lightning=lightning)


# Which of the consequences wait, for each lag, with Lightning in step and behind.
MATRIX = {
    0: ((), (ENTRY, IRREVOCABLE)),
    1: ((), (ENTRY, IRREVOCABLE)),
    2: ((IRREVOCABLE,), (ENTRY, IRREVOCABLE)),
    6: ((IRREVOCABLE,), (ENTRY, IRREVOCABLE)),
    7: ((ENTRY, IRREVOCABLE), (ENTRY, IRREVOCABLE)),
    None: ((ENTRY, IRREVOCABLE), (ENTRY, IRREVOCABLE)),
}


@pytest.mark.parametrize("what", Consequence)
@pytest.mark.parametrize("in_step", [True, False])
@pytest.mark.parametrize("lag", MATRIX)
def test_matrix(lag: int | None, in_step: bool, what: Consequence) -> None:
    waiting = MATRIX[lag][0 if in_step else 1]
    assert (held(what, sight(lag, lightning=in_step)) is not None) is (what in waiting)


@pytest.mark.parametrize("lag", [2, 6])
def test_blocks_that_were_just_found_hold_nothing_back(lag: int) -> None:
    assert held(IRREVOCABLE, sight(lag, fresh=True)) is None


def test_many_new_blocks_at_once_are_a_node_that_was_away() -> None:
    assert held(IRREVOCABLE, sight(7, fresh=True)) is not None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (sight(None), NODE_SILENT),
        (sight(2), BEHIND[2]),
        (sight(7, lightning=False), BEHIND[7]),
        (sight(0, lightning=False), LIGHTNING_BEHIND),
        (sight(0, lightning=None), LIGHTNING_SILENT),
    ],
)
def test_the_reason_is_named(seen: Sight, reason: str) -> None:
    assert (held(IRREVOCABLE, seen) or "").startswith(reason)


def test_the_first_broadcast_of_a_funding_waits_and_no_later_one(story: Story) -> None:
    assert consequence(FUNDING, story.lane) is IRREVOCABLE
    story.put(b.built("funding", b.FUNDING))
    assert consequence(FUNDING, story.lane) is IRREVOCABLE
    assert consequence(d.Bump(broadcast=FUNDING), story.lane) is IRREVOCABLE
    story.put(f.Sent(role="funding", txid=b.FUNDING))
    assert consequence(FUNDING, story.lane) is PROTECTIVE
    assert consequence(d.Bump(broadcast=FUNDING), story.lane) is PROTECTIVE


PROTECTING = {
    "chain.broadcast",
    "chain.bump",
    "debt.record",
    "ln.cancel",
    "ln.decide_holds",
    "ln.settle",
    "ln.watch_invoice",
    "oracle.poll_attestation",
    "wallet.release",
    "wallet.release_fee_coins",
}


def test_every_duty_has_a_consequence(story: Story) -> None:
    """What money section 2 protects is never held back; a payment and new money are."""
    found = {kind.kind(): consequence(sample(kind), story.lane) for kind in get_args(d.AnyDuty)}
    assert {tag for tag, what in found.items() if what is IRREVOCABLE} == {"ln.pay"}
    assert {tag for tag, what in found.items() if what is ENTRY} == {"ln.create_invoice"}
    assert {tag for tag, what in found.items() if what is PROTECTIVE} == PROTECTING


def test_only_a_payment_asks_while_it_is_held() -> None:
    assert asks_only(d.PayPrize(entry_id="e", payment_hash="h", cltv_limit=0))
    assert not asks_only(FUNDING)
    assert not asks_only(d.CreateInvoice(entry_id="e", generation=0, payment_hash="h"))
