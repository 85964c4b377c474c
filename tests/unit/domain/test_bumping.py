"""Which transactions are bumped, when, and how urgently; when the coins of their bumps are free again."""

from collections.abc import Callable

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import bumping
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.bumping import Urgency
from coordinator.domain.competitions.watching import deadline, watched
from coordinator.domain.facts import BumpKind, HoldState, PrizeState
from coordinator.views.books import chain_rows
from coordinator.views.competition import transactions
from coordinator.views.words import role
from coordinator_core.units import Blocks, Sats
from tests.support import lanes as b
from tests.support.lanes import Story

NOW = b.CLOSE - 1_000
HALF_AN_HOUR = 1_800
FUNDING_OUT, OUTCOME_OUT = f"{b.FUNDING}:0", f"{b.OUTCOME}:0"
BLOCK = 600


def bumped(
    role: str, number: int = 1, *, coins: tuple[str, ...] = (), spends: str = b.COIN, txid: str = ""
) -> f.Bumped:
    return f.Bumped(
        attempt=1,
        role=role,
        number=number,
        bump=BumpKind.CHILD,
        txid=txid or f"{number:064x}",
        fee=Sats(1_000),
        spends=spends,
        coins=coins,
    )


def bumps(story: Story, state: s.Competition) -> dict[str, Urgency | None]:
    """Urgency of each wanted bump by role."""
    wanted = (duty for duty in story.wants(state).values() if isinstance(duty, d.Bump))
    return {duty.broadcast.role: bumping.urgency(state, story.lane, duty.broadcast) for duty in wanted}


@pytest.fixture
def left(story: Story) -> Story:
    """The funding left just now; its holds last long."""
    held = [b.invoice(e, expiry_height=b.DEADLINE + 200) for e in b.ROSTER]
    tickets = [fact for fact in b.seats() if not isinstance(fact, f.Invoice)]
    story.put(*tickets, *held, b.pinned(), b.contract_signed(), b.built("funding", b.FUNDING, at=NOW))
    return story.put(f.Sent(role="funding", txid=b.FUNDING))


@pytest.fixture
def paying(story: Story) -> Story:
    """The outcome left just now."""
    story.put(*b.seats(state=HoldState.SETTLED), b.pinned(), b.contract_signed(), b.attested())
    story.put(b.built("outcome", b.OUTCOME, spends=FUNDING_OUT, at=NOW), f.Sent(role="outcome", txid=b.OUTCOME))
    return story.confirm(b.FUNDING, b.TIP - 10)


class TestPatience:
    @pytest.mark.parametrize("seconds", [0, HALF_AN_HOUR - 1, HALF_AN_HOUR])
    def test_unconfirmed_for_half_an_hour_of_the_domain_clock(self, left: Story, seconds: int) -> None:
        expected = {"funding": Urgency.SIX_BLOCKS} if seconds == HALF_AN_HOUR else {}
        assert bumps(left.set(now=NOW + seconds), b.funding_broadcasted()) == expected

    def test_at_once_when_the_node_refused_it_for_its_fee(self, left: Story) -> None:
        left.put(f.BelowFloor(attempt=1, role="funding"))
        assert bumps(left, b.funding_broadcasted()) == {"funding": Urgency.SIX_BLOCKS}

    def test_never_before_it_is_built(self, story: Story) -> None:
        story.put(*b.seats(), b.pinned(), b.contract_signed()).set(now=NOW + 10 * HALF_AN_HOUR)
        assert bumps(story, b.funding_broadcasted()) == {}

    def test_not_once_its_input_is_spent_in_the_chain_whoever_spent_it(self, left: Story) -> None:
        left.set(now=NOW + HALF_AN_HOUR).spend(b.COIN, b.STRANGER)
        assert bumps(left, b.funding_broadcasted()) == {}

    def test_again_when_a_reorg_unconfirmed_it(self, paying: Story) -> None:
        state = b.awaiting_attestation()
        paying.put(b.built("funding", b.FUNDING, at=NOW)).set(now=NOW + HALF_AN_HOUR)
        assert bumps(paying, state) == {}
        paying.world["confirmed"] = {}
        assert bumps(paying, state) == {"funding": Urgency.SIX_BLOCKS}

    def test_lane_is_looked_at_when_patience_ends_between_two_blocks(self, left: Story) -> None:
        assert deadline(b.funding_broadcasted(), left.lane).domain == NOW + HALF_AN_HOUR
        over = left.set(now=NOW + HALF_AN_HOUR)
        assert deadline(b.funding_broadcasted(), over.lane).domain == b.EXPIRY - 36 * BLOCK

    def test_every_bump_is_watched(self, left: Story) -> None:
        left.put(bumped("funding"), bumped("funding", 2))
        assert watched(b.funding_broadcasted(), left.lane).transactions.keys() >= {f"{1:064x}", f"{2:064x}"}


class TestFunding:
    @pytest.mark.parametrize("tip", [b.DEADLINE + 11, b.DEADLINE + 12])
    def test_next_block_from_twelve_blocks_after_f(self, left: Story, tip: int) -> None:
        expected = {"funding": Urgency.NEXT_BLOCK} if tip == b.DEADLINE + 12 else {}
        assert bumps(left.set(tip=tip), b.funding_broadcasted()) == expected

    @pytest.mark.parametrize("blocks", [13, 12])
    def test_next_block_when_the_shortest_hold_has_twelve_blocks_left(self, left: Story, blocks: int) -> None:
        left.facts = [fact for fact in left.facts if not isinstance(fact, f.Invoice)]
        left.put(*(b.invoice(e, expiry_height=b.TIP + 18 + blocks) for e in b.ROSTER))
        expected = {"funding": Urgency.NEXT_BLOCK} if blocks == 12 else {}
        assert bumps(left, b.funding_broadcasted()) == expected

    def test_next_block_for_good_once_tickets_were_settled_over_it(self, left: Story) -> None:
        left.put(f.HoldsDecided(attempt=1, settle=True, at_height=b.Height(b.TIP)))
        left.facts = [fact for fact in left.facts if not isinstance(fact, f.Invoice)]
        left.put(*(b.invoice(e, HoldState.SETTLED) for e in b.ROSTER))
        assert bumps(left, b.funding_broadcasted()) == {"funding": Urgency.NEXT_BLOCK}

    def test_return_of_its_coin_is_bumped_in_its_place_after_the_cancel(self, left: Story) -> None:
        left.put(f.HoldsDecided(attempt=1, settle=False, at_height=b.Height(b.TIP)))
        left.put(b.built("take-back/1", "7" * 64, at=NOW)).set(now=NOW + HALF_AN_HOUR)
        assert bumps(left, b.funding_broadcasted()) == {"take-back/1": Urgency.SIX_BLOCKS}


class TestContract:
    @pytest.mark.parametrize("early", [1, 0])
    def test_outcome_wants_the_next_block_from_36_blocks_before_expiry(self, paying: Story, early: int) -> None:
        paying.set(now=b.EXPIRY - 37 * BLOCK + 1 - early)
        paying.facts = [fact for fact in paying.facts if not isinstance(fact, f.Built)]
        paying.put(b.built("outcome", b.OUTCOME, spends=FUNDING_OUT, at=b.EXPIRY - 37 * BLOCK))
        expected = {} if early else {"outcome": Urgency.NEXT_BLOCK}
        assert bumps(paying, b.outcome_broadcasted()) == expected

    def test_outcome_in_the_chain_wants_nothing(self, paying: Story) -> None:
        paying.set(now=NOW + HALF_AN_HOUR)
        assert bumps(paying, b.outcome_broadcasted()) == {"outcome": Urgency.SIX_BLOCKS}
        assert bumps(paying.spend(FUNDING_OUT, b.OUTCOME), b.outcome_broadcasted()) == {}

    def test_expiry_races_against_nothing(self, paying: Story) -> None:
        paying.put(b.built("expiry", b.EXPIRED, spends=FUNDING_OUT, at=b.EXPIRY)).set(now=b.EXPIRY + HALF_AN_HOUR)
        assert bumps(paying, b.expiry_broadcasted()) == {"expiry": Urgency.SIX_BLOCKS}

    def test_split_is_bumped_before_and_after_the_node_has_it(self, paying: Story) -> None:
        paying.spend(FUNDING_OUT, b.OUTCOME).set(tip=b.TIP + b.DELTA, now=NOW + HALF_AN_HOUR)
        paying.put(b.built("split", b.SPLIT, spends=OUTCOME_OUT, at=NOW))
        assert bumps(paying, b.outcome_broadcasted()) == {"split": Urgency.SIX_BLOCKS}
        assert bumps(paying, b.delta_broadcasted()) == {"split": Urgency.SIX_BLOCKS}

    @pytest.mark.parametrize(("how", "key"), [("sellback", f.PreimageHeld), ("close", f.EntryKeyHeld)])
    @pytest.mark.parametrize("left", [37, 36])
    def test_bought_share_wants_the_next_block_before_its_win_matures(
        self, paying: Story, how: str, key: Callable[..., f.Fact], left: int
    ) -> None:
        winner = b.winners(paying.terms, 0)[0]
        paying.put(b.payout(winner, PrizeState.PAID), key(entry_id=winner))
        paying.spend(FUNDING_OUT, b.OUTCOME).spend(OUTCOME_OUT, b.SPLIT)
        role = f"sweep:{how}:{winner}"
        paying.put(b.built(role, "8" * 64, spends=f"{b.SPLIT}:0", at=NOW))
        # The win may be in block split + delta, so ours has to be in the one before.
        paying.set(tip=b.TIP + b.DELTA - 1 - left)
        assert bumps(paying, b.delta_broadcasted()) == ({role: Urgency.NEXT_BLOCK} if left == 36 else {})

    @pytest.mark.parametrize("left", [37, 36])
    def test_close_wants_the_next_block_before_the_split_matures(self, paying: Story, left: int) -> None:
        for winner in b.winners(paying.terms, 0):
            paying.put(b.payout(winner, PrizeState.PAID), f.EntryKeyHeld(entry_id=winner))
        paying.spend(FUNDING_OUT, b.OUTCOME).put(b.built("close", "8" * 64, spends=OUTCOME_OUT, at=NOW))
        paying.set(tip=b.TIP + b.DELTA - 1 - left)
        assert bumps(paying, b.outcome_broadcasted()) == ({"close": Urgency.NEXT_BLOCK} if left == 36 else {})

    def test_reclaim_of_a_share_is_bumped_without_haste(self, paying: Story) -> None:
        winner = b.winners(paying.terms, 0)[0]
        paying.spend(FUNDING_OUT, b.OUTCOME).spend(OUTCOME_OUT, b.SPLIT)
        role = f"sweep:reclaim:{winner}"
        paying.put(b.built(role, "8" * 64, spends=f"{b.SPLIT}:0", at=NOW))
        paying.set(tip=b.TIP + 2 * b.DELTA, now=NOW + HALF_AN_HOUR)
        assert bumps(paying, b.delta_broadcasted())[role] is Urgency.SIX_BLOCKS

    def test_replacement_of_a_sweep_that_confirms_is_known_as_ours(self, paying: Story) -> None:
        winner = b.winners(paying.terms, 0)[0]
        role, again = f"sweep:reclaim:{winner}", "7" * 64
        paying.spend(FUNDING_OUT, b.OUTCOME).spend(OUTCOME_OUT, b.SPLIT).spend(f"{b.SPLIT}:0", again)
        states = {p.share.entry_id: p.state for p in bumping.settling.prizes(paying.lane, b.delta_broadcasted())}
        assert states[winner] is PrizeState.CLAIMED
        made = bumped(role, spends=f"{b.SPLIT}:0", txid=again)
        paying.put(f.Bumped(**{**{n: getattr(made, n) for n in made.__struct_fields__}, "bump": BumpKind.REPLACEMENT}))
        states = {p.share.entry_id: p.state for p in bumping.settling.prizes(paying.lane, b.delta_broadcasted())}
        assert states[winner] is PrizeState.OWED

    def test_replacement_of_the_close_that_confirms_ends_it(self, paying: Story) -> None:
        again = "7" * 64
        paying.spend(FUNDING_OUT, b.OUTCOME).spend(OUTCOME_OUT, again)
        paying.put(b.built("close", "8" * 64, spends=OUTCOME_OUT))
        made = bumped("close", spends=OUTCOME_OUT, txid=again)
        paying.put(f.Bumped(**{**{n: getattr(made, n) for n in made.__struct_fields__}, "bump": BumpKind.REPLACEMENT}))
        assert isinstance(paying.step(b.outcome_broadcasted()), s.Completed)


class TestCoins:
    def releases(self, story: Story, state: s.Competition) -> set[str]:
        return {key for key in story.wants(state) if key.startswith("wallet.release_fee_coins/")}

    @pytest.mark.parametrize("state", [b.delta_broadcasted, lambda: s.Completed(funding_txid=b.FUNDING, outcome=0)])
    def test_free_again_when_the_parent_is_deep_enough_in_any_state(
        self, paying: Story, state: Callable[[], s.Competition]
    ) -> None:
        paying.put(bumped("outcome", coins=("a:0",), spends=FUNDING_OUT))
        assert self.releases(paying, state()) == set()
        paying.spend(FUNDING_OUT, b.OUTCOME)
        assert self.releases(paying, state()) == {"wallet.release_fee_coins/outcome/1"}
        paying.put(f.FeeCoinsReleased(attempt=1, role="outcome"))
        assert self.releases(paying, state()) == set()

    def test_free_again_when_the_parent_is_conflicted_out(self, paying: Story) -> None:
        paying.put(bumped("outcome", coins=("a:0",), spends=FUNDING_OUT)).spend(FUNDING_OUT, b.EXPIRED)
        assert self.releases(paying, b.expiry_broadcasted()) == {"wallet.release_fee_coins/outcome/1"}

    def test_not_before_required_confirmations(self) -> None:
        story = Story(terms=b.terms_with(b.MAINNET))
        story.put(b.pinned(), b.contract_signed(), b.attested(), bumped("outcome", coins=("a:0",), spends=FUNDING_OUT))
        story.spend(FUNDING_OUT, b.OUTCOME, b.TIP - 1)
        assert self.releases(story, b.outcome_broadcasted()) == set()
        assert self.releases(story.set(tip=b.TIP + 1), b.outcome_broadcasted()) != set()

    def test_coins_of_a_replaced_child_are_released_with_those_of_the_last(self, paying: Story) -> None:
        paying.put(
            bumped("outcome", 1, coins=("a:0",), spends=FUNDING_OUT), bumped("outcome", 2, coins=(), spends=FUNDING_OUT)
        )
        paying.spend(FUNDING_OUT, b.OUTCOME)
        assert self.releases(paying, b.outcome_broadcasted()) == {"wallet.release_fee_coins/outcome/1"}

    def test_child_of_the_change_reserved_nothing(self, left: Story) -> None:
        left.put(bumped("funding")).spend(b.COIN, b.FUNDING)
        assert self.releases(left, b.funding_confirmed()) == set()


def test_newest_is_by_number_not_by_text(story: Story) -> None:
    story.put(*(bumped("outcome", number) for number in range(1, 12)))
    newest = bumping.newest(story.lane, "outcome", 1)
    assert newest is not None
    assert newest.number == 11


def test_standing_is_the_one_in_the_chain_else_the_newest(story: Story) -> None:
    story.put(*(bumped("outcome", number) for number in (1, 2, 3)), bumped("split", 1))
    assert {(fact.role, fact.number) for fact in bumping.standing(story.lane)} == {("outcome", 3), ("split", 1)}
    story.confirm(f"{2:064x}")
    assert {(fact.role, fact.number) for fact in bumping.standing(story.lane)} == {("outcome", 2), ("split", 1)}


def test_lack_of_coins_is_trouble_until_the_transaction_is_in_the_chain(paying: Story) -> None:
    lack = f.NeedsOperator(topic=bumping.trouble_topic("outcome", 1), reason="r", resume="r")
    other = f.NeedsOperator(topic="dust/close", reason="r", resume="r")
    assert not bumping.is_over(paying.lane, lack)
    paying.spend(FUNDING_OUT, b.OUTCOME)
    assert bumping.is_over(paying.lane, lack)
    assert not bumping.is_over(paying.lane, other)


def test_transactions_and_books_show_what_stands(paying: Story) -> None:
    """A child beside its parent, a replacement in the place of what it replaced; only what confirmed was paid."""
    child, again = f"{1:064x}", "7" * 64
    paying.put(bumped("outcome", spends=FUNDING_OUT), f.Sent(role="close", txid="8" * 64))
    made = bumped("close", spends=OUTCOME_OUT, txid=again)
    paying.put(f.Bumped(**{**{n: getattr(made, n) for n in made.__struct_fields__}, "bump": BumpKind.REPLACEMENT}))

    def listed() -> dict[object, object]:
        return {item["role"]: item["txid"] for item in transactions(b.outcome_broadcasted(), paying.lane)}

    assert listed() == {"outcome": b.OUTCOME, "bump:outcome": child, "close": again}
    assert [row.amount for row in chain_rows(paying.lane)] == [0]
    paying.spend(FUNDING_OUT, b.OUTCOME).confirm(child)
    assert listed()["bump:outcome"] == child
    assert [row.amount for row in chain_rows(paying.lane)] == [-1_000]
    # The first close was mined after all.
    paying.spend(OUTCOME_OUT, "8" * 64)
    assert listed()["close"] == "8" * 64
    # A parent that confirmed without its child leaves nothing to be listed.
    del paying.world["confirmed"][child]
    assert "bump:outcome" not in listed()
    assert role("bump:outcome") == "Pays the fee of: Outcome"


def test_a_bump_is_never_held_back() -> None:
    assert d.Bump.protective
    assert d.ReleaseFeeCoins.protective
    assert Blocks(36) == bumping.NEAR
