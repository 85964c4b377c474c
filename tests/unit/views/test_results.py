"""What a page says of the end of a competition: the outcome in words, its prizes, the address of a script."""

from __future__ import annotations

import pytest

from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState, PrizeState
from coordinator.ports.bitcoin import Network
from coordinator.views import books
from coordinator.views.address import taproot_address
from coordinator.views.results import result
from coordinator.views.words import sats
from coordinator_core.errors import InvalidInput
from tests.support import lanes as b

REFUND_ALL = b.REFUND_ALL_OF_3


def funded(players: tuple[str, ...] = b.ROSTER) -> b.Story:
    story = b.Story().put(*b.seats(players, HoldState.SETTLED), b.pinned(), b.session(), b.contract_signed())
    return story.confirm(b.FUNDING)


class TestWords:
    def test_before_the_outcome_there_is_none(self) -> None:
        for state in (s.Created(), b.awaiting_attestation(), s.Completed(funding_txid="", outcome=None)):
            assert result(state, b.Story().lane) is None

    def test_a_ranking_names_places(self) -> None:
        found = result(b.outcome_broadcasted(), funded().put(b.attested()).lane)
        assert found is not None
        assert found.outcome == "The oracle attested outcome 0."
        assert [prize.place for prize in found.prizes] == ["1st", "2nd"]
        assert [prize.settled for prize in found.prizes] == [False, False]

    def test_without_a_ranking_every_stake_goes_back(self) -> None:
        found = result(b.outcome_broadcasted(REFUND_ALL), funded().put(b.attested(REFUND_ALL)).lane)
        assert found is not None
        assert found.outcome == f"The oracle attested outcome {REFUND_ALL}: no ranking, every stake goes back."
        assert [(prize.place, prize.net) for prize in found.prizes] == [("stake", sats(50_000))] * 3

    @pytest.mark.parametrize("state", [b.expiry_broadcasted(), s.Completed(funding_txid=b.FUNDING, outcome=None)])
    def test_without_an_attestation_the_contract_expired(self, state: s.Competition) -> None:
        found = result(state, funded().spend(f"{b.FUNDING}:0", b.EXPIRED).lane)
        assert found is not None
        assert found.outcome.startswith("The oracle did not attest in time")
        assert [prize.entry_id for prize in found.prizes] == list(b.ROSTER)

    @pytest.mark.parametrize(
        ("payout", "words", "settled"),
        [
            (b.payout("entry-1", PrizeState.PAID), "against the payout preimage", True),
            (b.payout("entry-1", PrizeState.CLAIMABLE, failure="no_route"), "the last payment failed: no_route", False),
        ],
    )
    def test_what_became_of_a_prize_is_said(self, payout: object, words: str, settled: bool) -> None:
        found = result(b.outcome_broadcasted(), funded().put(b.attested(), payout).lane)  # type: ignore[arg-type]
        assert found is not None
        [prize] = [prize for prize in found.prizes if prize.entry_id == "entry-1"]
        assert words in prize.state
        assert prize.settled is settled

    def test_a_ticket_that_was_written_off_wins_nothing(self) -> None:
        story = funded(b.ROSTER[1:]).put(b.attested(), *b.seats(["entry-1"], HoldState.CANCELED))
        story.spend(f"{b.FUNDING}:0", b.OUTCOME).spend(f"{b.OUTCOME}:0", b.SPLIT)
        found = result(s.Completed(funding_txid=b.FUNDING, outcome=0), story.lane)
        assert found is not None
        [prize] = [prize for prize in found.prizes if prize.entry_id == "entry-1"]
        assert prize.settled
        assert "void" in prize.state.lower()


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (s.Completed(funding_txid=b.FUNDING, outcome=4), 4),
        (s.Completed(funding_txid=b.FUNDING, outcome=None), None),
        (b.outcome_broadcasted(2), 2),
        (b.delta_broadcasted(None), None),
        (b.expiry_broadcasted(), None),
        (b.awaiting_attestation(), None),
    ],
)
def test_the_books_know_the_outcome(state: s.Competition, outcome: int | None) -> None:
    assert books.outcome_of(state) == outcome


class TestAddress:
    # BIP350, the test vector of the generator's x coordinate.
    SCRIPT = bytes.fromhex("512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")

    def test_it_is_bech32m_of_its_network(self) -> None:
        address = taproot_address(self.SCRIPT, Network.MAINNET)
        assert address == "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"
        assert taproot_address(self.SCRIPT, Network.REGTEST).startswith("bcrt1p0xlx")

    @pytest.mark.parametrize("script", [b"", SCRIPT[:-1], SCRIPT + b"\0", b"\x00\x20" + SCRIPT[2:]])
    def test_nothing_else_has_one(self, script: bytes) -> None:
        with pytest.raises(InvalidInput, match="pay-to-taproot"):
            taproot_address(script, Network.MAINNET)
