"""Two places: each ranking has its own outcome output, and a split of one is worth nothing for another."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from coordinator.player.play import Player
from coordinator_core.competition.payouts import payouts_at
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.dlc.outcomes import WinCondition
from coordinator_core.oracle.outcomes import ranking_index
from coordinator_core.transaction import Transaction
from tests.e2e.application import Competition, TestApp
from tests.e2e.mock_oracle import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

RANKING, REVERSED = (3, 0), (0, 3)


async def test_five_entries_two_places(app: TestApp) -> None:
    competition = await app.create_competition(entries=5, places=2)
    await app.sell_and_sign(competition, 5)
    await app.confirm_funding(competition)
    await app.attest(competition, Outcome(RANKING))
    winners = [_player(competition, index) for index in RANKING]
    for winner in winners:
        assert await winner.take_prize(keep_key=True) == "PAID"
    await app.wait_for_state(competition, "outcome_broadcasted")

    contract = await app.contract(competition)
    # No coordinator while the outcome output ripens, so that nobody spends it before the wrong split was tried.
    app.kill_coordinator()
    right = await _signed_split(competition, winners[0], RANKING)
    wrong = await _signed_split(competition, winners[0], REVERSED)
    await app.mine_blocks(competition.terms.contract.delta)
    as_it_is = await app.chain.refusal(wrong)
    assert as_it_is is not None
    assert "missing" in as_it_is
    confirmed = contract.outcome_outpoint(_outcome(RANKING))
    assert wrong.inputs[0].previous_output != confirmed == right.inputs[0].previous_output
    re_aimed = await app.chain.refusal(_at(wrong, right))
    assert re_aimed is not None
    assert "script-verify" in re_aimed
    # The same node takes the right one at the same moment: what it refused was the signature, not the time.
    assert await app.chain.refusal(right) is None

    await app.start_coordinator()
    await app.mine_blocks()
    await app.wait_for_state(competition, "completed", each=app.mine_blocks)
    by_player = {payout.player: payout for payout in payouts_at(competition.terms, 5, _outcome(RANKING))}
    assert by_player[3].net > by_player[0].net > 0
    for index, player in enumerate(competition.order):
        owner = _player(competition, index)
        assert owner.entry_id == player
        price = await app.price(competition, owner)
        prize = by_player[index].net if index in by_player else 0
        assert prize - price - price // 20 <= await app.get_entry_balance(competition, owner) <= prize - price
    changes = await app.require_balanced_books(competition)
    # Outcome and split have an anchor each.
    assert changes["anchors"] == 2 * 240 * 1_000


def _player(competition: Competition, index: int) -> Player:
    return next(player for player in competition.players if player.entry_id == competition.order[index])


def _outcome(ranking: tuple[int, ...]) -> ContractOutcome:
    return ContractOutcome(ranking_index(ranking, 5))


async def _signed_split(competition: Competition, winner: Player, ranking: tuple[int, ...]) -> Transaction:
    """The split of a ranking through a winner's own leaf, out of its kit and its wallet's preimage."""
    preimage = await winner.ticket_preimage()
    assert winner.kit is not None
    assert preimage is not None
    assert hashlib.sha256(preimage.reveal()).hexdigest() == winner.ticket_hash
    condition = WinCondition(_outcome(ranking), competition.index_of(winner))
    return winner.kit.signed.split_transaction(condition, preimage)


def _at(wrong: Transaction, right: Transaction) -> Transaction:
    """The wrong split with the input of the right one, witness and outputs as they were."""
    [spend] = wrong.inputs
    return replace(wrong, inputs=(replace(spend, previous_output=right.inputs[0].previous_output),))
