"""Payouts as winners ask for them: the amount, how long the invoice lasts, what is handed over first."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import settling
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import PrizeState
from coordinator.engine.commands import payouts
from coordinator.engine.submit import Conflict, Decision, submit
from coordinator_core.bolt11 import Invoice
from coordinator_core.errors import Fault, InvalidInput, Refused
from coordinator_core.nostr.event import Event
from coordinator_core.receipts.debt import DebtReceipt
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint
from coordinator_core.units import Blocks, Millisats, Seconds, UnixTime
from tests.support import lanes as b
from tests.support import scene
from tests.support.attempt import altered
from tests.support.lanes import Story
from tests.support.ports import MemorySecrets
from tests.support.scene import Player

SIGNER = MemorySecrets().signing_key("nostr")
OUTPUT = OutPoint(bytes(range(32)), 1)
WEEK = 7 * 86_400
STATE = s.OutcomeBroadcasted(
    roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract=b.CONTRACT, written_off=(), outcome=0
)
PLAIN = b"\x42" * 32
WORLD: dict[str, Any] = {"wall": b.WALL}


@pytest.fixture
def story() -> Story:
    story = Story().put(b.pinned(), b.attested()).set(**WORLD)
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms))
    return story


def players(story: Story) -> tuple[list[Player], list[Player]]:
    """Who won a prize, and who did not."""
    won = {prize.share.entry_id for prize in settling.prizes(story.lane, STATE)}
    listed = scene.PLAYERS
    return [p for p in listed if p.name in won], [p for p in listed if p.name not in won]


def winner(story: Story) -> Player:
    return players(story)[0][0]


def net(story: Story, player: Player) -> int:
    prize = payouts.prize_of(STATE, story.lane, player.name)
    assert prize is not None
    return prize.share.net


def invoice(sats: int | None, payment_hash: bytes = PLAIN, lasts: int = WEEK, msats: int = 0) -> Invoice:
    return Invoice(
        prefix="bcrt",
        amount=None if sats is None else Millisats(sats * 1_000 + msats),
        timestamp=UnixTime(b.WALL),
        payment_hash=payment_hash,
        payment_secret=bytes(32),
        payee=SIGNER.public_key,
        description="prize",
        description_hash=None,
        expiry=Seconds(lasts),
        min_final_cltv_expiry=Blocks(18),
        route_hints=(),
        features=frozenset(),
        metadata=None,
    )


def payout_of(entry_id: str, state: PrizeState, failure: str | None = None) -> f.Payout:
    return altered(b.payout("entry-1", state), entry_id=entry_id, failure=failure)


def own_hash(player: Player) -> bytes:
    return hashlib.sha256(player.payout_preimage).digest()


def ask(
    story: Story,
    bill: Invoice,
    preimage: bytes | None = None,
    *,
    player: Player | None = None,
    by: Player | None = None,
    state: s.Competition = STATE,
) -> Decision:
    player = player or winner(story)
    secret = None if preimage is None else Secret(preimage)
    decide = payouts.ask((by or player).identity.x_only.hex(), player.name, bill, "lnbcrt1", secret, SIGNER, OUTPUT)
    return decide(state, story.lane)


class TestAtomic:
    def test_is_on_the_payout_hash_for_exactly_the_net_amount(self, story: Story) -> None:
        player = winner(story)
        decision = ask(story, invoice(net(story, player), own_hash(player)))
        (payout,) = decision.facts
        assert isinstance(payout, f.Payout)
        assert (payout.atomic, payout.state, payout.amount) == (True, PrizeState.PAYING, net(story, player))
        assert decision.answer == {"state": "PAYING", "debt_receipt": None}
        payment_hash = own_hash(player).hex()
        assert decision.resources == [(f"payout:{payment_hash}", f"prize/{player.name}", "payment_request")]

    @pytest.mark.parametrize(("sats", "msats"), [(-1, 0), (1, 0), (0, 1), (0, -1), (None, 0)])
    def test_any_other_amount_is_refused_with_the_right_one(self, story: Story, sats: int | None, msats: int) -> None:
        player = winner(story)
        due = net(story, player)
        wrong = invoice(None if sats is None else due + sats, own_hash(player), msats=msats)
        with pytest.raises(InvalidInput, match=f"exactly {due} sat") as caught:
            ask(story, wrong)
        assert (caught.value.field, caught.value.fault) == ("payment_request", Fault.PLAYER)

    def test_it_lasts_until_the_lightning_window_closes(self, story: Story) -> None:
        """There is no second invoice on its hash."""
        player = winner(story)
        blocks = settling.lightning_window(story.lane, STATE)
        least = blocks * payouts.SECONDS_PER_BLOCK
        assert payouts.window_end(STATE, story.lane) == b.WALL + least
        due = net(story, player)
        assert ask(story, invoice(due, own_hash(player), least)).facts
        with pytest.raises(InvalidInput, match=f"at least {least} s"):
            ask(story, invoice(due, own_hash(player), least - 1))


class TestPlain:
    def test_hands_the_payout_preimage_over_and_gets_a_signed_debt(self, story: Story) -> None:
        player = winner(story)
        decision = ask(story, invoice(net(story, player)), player.payout_preimage)
        held, payout = decision.facts
        assert held == f.PreimageHeld(entry_id=player.name)
        assert isinstance(payout, f.Payout)
        assert payout.atomic is False
        assert isinstance(decision.answer, dict)
        event = msgspec.convert(decision.answer["debt_receipt"], Event)
        assert event.pubkey == SIGNER.x_only.hex()
        receipt = msgspec.json.decode(event.content, type=DebtReceipt)
        assert (receipt.entry_id, receipt.amount) == (player.id, net(story, player))
        assert (receipt.output, receipt.payout_hash) == (str(OUTPUT), own_hash(player).hex())

    @pytest.mark.parametrize("preimage", [None, bytes(32), b"\x01" * 31])
    def test_nothing_is_paid_without_what_opens_the_payout_hash(self, story: Story, preimage: bytes | None) -> None:
        player = winner(story)
        with pytest.raises(InvalidInput) as caught:
            ask(story, invoice(net(story, player)), preimage)
        assert (caught.value.field, caught.value.fault) == ("payout_preimage", Fault.PLAYER)

    def test_the_preimage_of_another_is_not_enough(self, story: Story) -> None:
        mine, theirs = winner(story), players(story)[1][0]
        with pytest.raises(InvalidInput, match="does not open the payout hash"):
            ask(story, invoice(net(story, mine)), theirs.payout_preimage)

    @pytest.mark.parametrize(("lasts", "taken"), [(60, True), (59, False)])
    def test_it_lasts_a_minute_at_least(self, story: Story, lasts: int, taken: bool) -> None:
        player = winner(story)
        bill = invoice(net(story, player), lasts=lasts)
        if taken:
            assert ask(story, bill, player.payout_preimage).facts
        else:
            with pytest.raises(InvalidInput, match="expires too early"):
                ask(story, bill, player.payout_preimage)


class TestWho:
    def test_not_for_another_players_entry(self, story: Story) -> None:
        player, other = winner(story), players(story)[1][0]
        with pytest.raises(InvalidInput, match="is not one of yours"):
            ask(story, invoice(net(story, player)), player.payout_preimage, by=other)

    def test_not_for_who_won_nothing(self, story: Story) -> None:
        with pytest.raises(Conflict, match="has no prize"):
            ask(story, invoice(1), player=players(story)[1][0])

    @pytest.mark.parametrize("state", [b.awaiting_attestation(), b.funding_confirmed()])
    def test_not_before_there_is_an_outcome(self, story: Story, state: s.Competition) -> None:
        assert payouts.prize_of(state, story.lane, winner(story).name) is None
        assert payouts.window_end(state, story.lane) == b.WALL
        with pytest.raises(Conflict, match="has no prize"):
            ask(story, invoice(1), state=state)

    @pytest.mark.parametrize("payout", [PrizeState.PAYING, PrizeState.UNKNOWN, PrizeState.PAID])
    def test_one_live_payout_a_prize(self, story: Story, payout: PrizeState) -> None:
        player = winner(story)
        due = net(story, player)
        story.put(payout_of(player.name, payout))
        with pytest.raises(Conflict, match=f"is {payout.value}"):
            ask(story, invoice(due), player.payout_preimage)

    def test_not_for_a_ticket_that_was_written_off(self, story: Story) -> None:
        player = winner(story)
        void = s.OutcomeBroadcasted(
            roster=scene.ROSTER,
            attempt=1,
            funding_txid=b.FUNDING,
            contract=b.CONTRACT,
            written_off=(player.name,),
            outcome=0,
        )
        with pytest.raises(Conflict, match="is VOID"):
            ask(story, invoice(net(story, player)), player.payout_preimage, state=void)

    def test_a_failed_one_may_be_asked_for_again(self, story: Story) -> None:
        player = winner(story)
        story.put(payout_of(player.name, PrizeState.CLAIMABLE, failure="no route"))
        assert ask(story, invoice(net(story, player)), player.payout_preimage).facts


async def test_a_payment_hash_belongs_to_one_prize_over_all_competitions(house, story: Story) -> None:
    house.clock.seconds = b.WALL
    facts = [fact for fact in story.facts if not isinstance(fact, f.Published)]
    player = winner(story)
    bill = invoice(net(story, player))

    async def call(lane: str, who: Player, key: str) -> bytes:
        decide = payouts.ask(
            who.identity.x_only.hex(), who.name, bill, "lnbcrt1", Secret(who.payout_preimage), SIGNER, OUTPUT
        )
        parts = (house.store, house.clockwork, house.wakeups)
        return await submit(*parts, lane=lane, kind="payout", dkey=key, decide=decide)

    first, second = await house.lane(STATE, *facts), await house.lane(STATE, *facts, name="other")
    answer = await call(first, player, "one")
    assert await call(first, player, "one") == answer
    with pytest.raises(Refused) as caught:
        await call(second, player, "two")
    assert caught.value.field == "payment_request"
    assert await house.rows("SELECT lane FROM fact WHERE kind = 'payout'") == [(first,)]


class TestEntryKey:
    def give(self, story: Story, key: SecretKey, player: Player, state: s.Competition = STATE) -> Decision:
        return payouts.give_entry_key(player.identity.x_only.hex(), player.name, key)(state, story.lane)

    def paid(self, story: Story) -> Player:
        player = winner(story)
        story.put(payout_of(player.name, PrizeState.PAID))
        return player

    def test_is_taken_once_the_prize_is_paid(self, story: Story) -> None:
        player = self.paid(story)
        decision = self.give(story, player.key(1), player)
        assert list(decision.facts) == [f.EntryKeyHeld(entry_id=player.name)]

    def test_nobody_is_asked_to_give_it_before(self, story: Story) -> None:
        player = winner(story)
        for state in (None, PrizeState.PAYING, PrizeState.UNKNOWN):
            if state is not None:
                story.put(payout_of(player.name, state))
            with pytest.raises(Conflict, match="only after the payment"):
                self.give(story, player.key(1), player)

    @pytest.mark.parametrize("attempt", [2, 8])
    def test_the_key_of_another_attempt_is_of_no_use(self, story: Story, attempt: int) -> None:
        player = self.paid(story)
        with pytest.raises(InvalidInput, match="is not the key of attempt 1") as caught:
            self.give(story, player.key(attempt), player)
        assert caught.value.field == "entry_key"

    def test_nor_the_key_of_another_player(self, story: Story) -> None:
        player = self.paid(story)
        other = players(story)[1][0]
        with pytest.raises(InvalidInput, match="is not the key"):
            self.give(story, other.key(1), player)
        with pytest.raises(InvalidInput, match="is not one of yours"):
            payouts.give_entry_key(other.identity.x_only.hex(), player.name, player.key(1))(STATE, story.lane)
