"""Bumps of each kind against a real contract: what is pinned, when it leaves, what it pays, what comes after it."""

from __future__ import annotations

import msgspec
import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import BumpKind, HoldState
from coordinator.engine.duty import Again, Done, Outcome
from coordinator.engine.executors.bumps import BumpExecutor, ReleaseFeeCoinsExecutor
from coordinator.engine.executors.chain import BroadcastExecutor
from coordinator.engine.executors.secret_names import entry_key_secret, payout_secret, ticket_secret
from coordinator.ports.bitcoin import BroadcastResult, BroadcastVerdict, Coin, FundingPlan, Outpoint, Output
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.dlc.outcomes import WinCondition
from coordinator_core.dlc.relay import least_fee_rate
from coordinator_core.secret import Secret
from coordinator_core.transaction import PAY_TO_ANCHOR, Transaction, fee_for_weight
from coordinator_core.units import Confirmations, FeeRate, Sats
from tests.support import lanes as b
from tests.support import scene
from tests.support.lanes import Story
from tests.support.ports import transaction, txid_of

PAYING = s.OutcomeBroadcasted(roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract="", outcome=1)
SPLITTED = s.DeltaBroadcasted(
    roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract="", outcome=1, split_txid=b.SPLIT
)
SELLER = scene.PLAYERS[scene.contract().parameters.winners(ContractOutcome(1))[1]]
SELLBACK = f"sweep:sellback:{SELLER.name}"
TOO_LOW = BroadcastResult(BroadcastVerdict.FEE_TOO_LOW, "mempool min fee not met")
CONFLICT = BroadcastResult(BroadcastVerdict.CONFLICT, "insufficient fee")


def fee_coin(number: int, value: int) -> Coin:
    return Coin(Outpoint(f"{number:02x}" * 32, 0), Sats(value), scene.OWN_SCRIPT, Confirmations(3))


class Run:
    """One role of one competition, driven as the worker drives it: facts are written after each attempt."""

    def __init__(self, bench, story: Story, role: str, state: s.Competition, **more) -> None:
        blob = next(fact.blob for fact in story.facts if isinstance(fact, f.ContractSigned))
        self.bench, self.story, self.state = bench, story, state
        self.broadcast = d.Broadcast(role=role, attempt=1, contract=blob, **more)
        self.chain = bench.house.chain

    async def announce(self) -> Transaction:
        """The transaction as it is sent at first: pinned, written down, taken by the node or refused."""
        for _ in range(2):
            outcome = await BroadcastExecutor(self.bench.services)(
                await self.bench.task(self.broadcast, self.state, self.story)
            )
            self.story.put(*outcome.facts)
        raw = await self.bench.services.store.pinned(self.broadcast.id(b.LANE), "raw")
        assert raw is not None
        return Transaction.parse(raw)

    def overdue(self) -> None:
        self.story.set(now=b.CLOSE - 1_000 + 1_800)

    async def once(self) -> Outcome:
        task = await self.bench.task(d.Bump(broadcast=self.broadcast), self.state, self.story)
        outcome = await BumpExecutor(self.bench.services)(task)
        self.story.put(*outcome.facts)
        return outcome

    async def bump(self) -> Transaction:
        """Pin a bump, then send it: what the node got."""
        before = len(self.chain.received)
        pinned = await self.once()
        assert isinstance(pinned, Again)
        assert pinned.seconds == 0.0
        assert len(self.chain.received) == before, "nothing leaves before its fact is written"
        sent = await self.once()
        assert isinstance(sent, Again)
        assert sent.reason is None
        found = Transaction.parse(self.chain.received[-1])
        assert found.txid[::-1].hex() == self.last.txid
        return found

    @property
    def all(self) -> list[f.Bumped]:
        return [fact for fact in self.story.facts if isinstance(fact, f.Bumped)]

    @property
    def last(self) -> f.Bumped:
        return self.all[-1]


@pytest.fixture
async def story(bench) -> Story:
    """A signed contract, its funding planned, settled tickets, the attestation, and one rich coin for fees."""
    story = Story()
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms, HoldState.SETTLED))
        await bench.services.secrets.put(b.LANE, ticket_secret(player.ticket_hash.hex()), Secret(player.preimage))
    await bench.services.secrets.put(b.LANE, payout_secret(SELLER.name), Secret(SELLER.payout_preimage))
    await bench.services.secrets.put(b.LANE, entry_key_secret(SELLER.name), Secret(SELLER.key().reveal()))
    made = scene.contract().funding_output
    plan = await bench.services.wallet.plan_funding(b.LANE, "funding/1", Output(made.script_pubkey, made.value), 510)
    name = await bench.services.put_blob(msgspec.json.encode(plan))
    pin = f.Pinned(**{**msgspec.structs.asdict(b.pinned()), "plan": name, "funding_txid": plan.txid})
    blob = await bench.services.put_blob(scene.signed().to_json().encode())
    story.put(pin, scene.contract_signed(blob), scene.attested(1))
    bench.services.wallet.fee_supply.append(fee_coin(1, 100_000))
    return story


@pytest.fixture
async def funding(bench, story: Story) -> Run:
    run = Run(bench, story, "funding", b.funding_broadcasted())
    story.facts = [fact for fact in story.facts if not isinstance(fact, f.Invoice)]
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms)[2:])
    await run.announce()
    run.overdue()
    run.chain.estimates.update({6: FeeRate(2_000), 1: FeeRate(9_000)})
    return run


@pytest.fixture
async def outcome(bench, story: Story) -> Run:
    run = Run(bench, story, "outcome", PAYING, outcome=1)
    await run.announce()
    run.overdue()
    run.chain.estimates.update({6: FeeRate(2_000), 1: FeeRate(9_000)})
    return run


def paid_together(parent: Transaction, parent_fee: int, child: Transaction, child_fee: int) -> float:
    """sat/kWU of both, in whole virtual bytes."""
    return (parent_fee + child_fee) * 1_000 / (4 * (parent.vsize + child.vsize))


class TestFunding:
    async def test_child_of_the_change_lifts_both_to_the_estimate_for_six_blocks(self, funding: Run) -> None:
        parent = Transaction.parse(funding.chain.received[0])
        child = await funding.bump()
        assert [one.previous_output for one in child.inputs] == [parent.outpoint(1)]
        assert [output.script_pubkey for output in child.outputs] == [scene.OWN_SCRIPT]
        fee = parent.outputs[1].value - child.outputs[0].value
        assert (funding.last.fee, funding.last.bump, funding.last.coins) == (fee, BumpKind.CHILD, ())
        assert 2_000 <= paid_together(parent, 1_000, child, fee) < 2_010
        assert funding.last.spends == str(parent.inputs[0].previous_output)

    async def test_nothing_more_while_it_pays_the_estimate(self, funding: Run) -> None:
        await funding.bump()
        again = await funding.once()
        assert (again.facts, again.reason, again.seconds > 0) == ((), None, True)
        assert len(funding.all) == 1

    async def test_later_bump_replaces_the_child_and_pays_for_its_relay(self, funding: Run) -> None:
        first = await funding.bump()
        funding.chain.estimates[6] = FeeRate(2_001)
        second = await funding.bump()
        assert first.inputs[0].previous_output == second.inputs[0].previous_output
        one, two = funding.all
        assert (one.number, two.number) == (1, 2)
        assert two.fee >= one.fee + fee_for_weight(FeeRate(250), 4 * second.vsize)
        assert 4 * two.fee >= 5 * one.fee

    async def test_child_costs_a_tenth_at_most_and_near_the_decision_more(self, funding: Run) -> None:
        funding.chain.estimates.update({6: FeeRate(90_000), 1: FeeRate(90_000)})
        await funding.bump()
        rescued = scene.contract().funding_output.value
        assert funding.last.fee == rescued // 10
        # At the cap the child stays as it is, however high the estimate.
        kept = await funding.once()
        assert (list(kept.facts), len(funding.all)) == ([], 1)
        funding.story.set(tip=b.DEADLINE + 12)
        await funding.bump()
        assert rescued // 10 < funding.last.fee <= rescued

    async def test_next_block_rate_from_twelve_blocks_after_f(self, funding: Run) -> None:
        parent = Transaction.parse(funding.chain.received[0])
        funding.story.set(tip=b.DEADLINE + 12)
        child = await funding.bump()
        assert paid_together(parent, 1_000, child, funding.last.fee) >= 9_000

    async def test_child_in_the_place_of_another_process_is_the_same(self, bench, funding: Run) -> None:
        """Killed after the pin and before the fact, then after the fact and before the broadcast."""
        facts = list(funding.story.facts)
        await funding.once()
        funding.story.facts = facts
        funding.chain.estimates[6] = FeeRate(7_000)
        pinned = await funding.once()
        assert [fact.number for fact in pinned.facts] == [1]
        again = Run(bench, funding.story, "funding", funding.state)
        await again.once()
        await again.once()
        assert txid_of(funding.chain.received[1]) == pinned.facts[0].txid

    async def test_child_the_node_forgot_is_sent_again_as_it_was(self, funding: Run) -> None:
        await funding.bump()
        funding.chain.mempool.pop(funding.last.txid)
        await funding.once()
        assert txid_of(funding.chain.received[-1]) == funding.last.txid
        assert len(funding.all) == 1

    async def test_wallet_adds_coins_when_the_change_does_not_suffice(self, bench, funding: Run) -> None:
        plan = bench.services.wallet.plans[(b.LANE, "funding/1")]
        parent = Transaction.parse(funding.chain.received[0])
        short = FundingPlan(**{**msgspec.structs.asdict(plan), "coins": plan.coins, "change_value": Sats(900)})
        blob = await bench.services.put_blob(msgspec.json.encode(short))
        pin = next(fact for fact in funding.story.facts if isinstance(fact, f.Pinned))
        funding.story.facts.remove(pin)
        funding.story.put(f.Pinned(**{**msgspec.structs.asdict(pin), "plan": blob}))
        child = await funding.bump()
        assert len(child.inputs) == 2
        assert child.inputs[0].previous_output == parent.outpoint(1)
        assert funding.last.coins == (str(fee_coin(1, 0).outpoint),)

    async def test_in_the_chain_nothing_is_asked_and_nothing_sent(self, funding: Run) -> None:
        funding.chain.mine(transaction(txid_of(funding.chain.received[0])))
        done = await funding.once()
        assert (done.facts, len(funding.chain.received)) == ((), 1)

    async def test_wanted_no_more_is_done(self, funding: Run) -> None:
        funding.story.spend(b.COIN, b.STRANGER).spend(str(Outpoint("c" * 64, 0)), b.STRANGER)
        assert await funding.once() == Done()


class TestAnchor:
    async def test_child_spends_anchor_and_a_reserved_coin(self, bench, outcome: Run) -> None:
        parent = Transaction.parse(outcome.chain.received[0])
        child = await outcome.bump()
        anchor, coin = child.inputs
        assert parent.outputs[anchor.previous_output.vout].script_pubkey == PAY_TO_ANCHOR
        assert anchor.witness == ()
        assert coin.witness != ()
        reserved = bench.services.wallet.reserved["bump/outcome/1"]
        assert outcome.last.coins == tuple(str(one.outpoint) for one in reserved) == (str(coin.previous_output),)
        assert outcome.last.fee == 240 + reserved[0].value - child.outputs[0].value
        parent_fee = scene.contract().parameters.funding_value - sum(o.value for o in parent.outputs)
        assert 2_000 <= paid_together(parent, parent_fee, child, outcome.last.fee) < 2_010

    async def test_parent_below_the_floor_goes_with_its_child(self, outcome: Run) -> None:
        parent = Transaction.parse(outcome.chain.received[0])
        outcome.chain.mempool.clear()
        child = await outcome.bump()
        [package] = outcome.chain.packages
        assert [txid_of(raw) for raw in package] == [parent.txid[::-1].hex(), child.txid[::-1].hex()]

    async def test_parent_in_the_node_is_not_sent_again(self, outcome: Run) -> None:
        await outcome.bump()
        assert outcome.chain.packages == []

    async def test_refused_at_once_means_bumped_at_once(self, bench, story: Story) -> None:
        run = Run(bench, story, "outcome", PAYING, outcome=1)
        txid = scene.contract().outcome_txid(ContractOutcome(1))[::-1].hex()
        run.chain.verdicts[txid] = TOO_LOW
        await run.announce()
        assert any(isinstance(fact, f.BelowFloor) for fact in story.facts)
        run.chain.verdicts.clear()
        run.chain.estimates[6] = FeeRate(2_000)
        await run.bump()
        assert len(run.chain.packages) == 1

    async def test_refused_although_it_pays_the_estimate_is_bumped_all_the_same(self, outcome: Run) -> None:
        """The expiry of the same rate may stand in its place: only a higher fee brings it in."""
        outcome.chain.estimates[6] = FeeRate(100)
        kept = await outcome.once()
        assert kept.facts == ()
        outcome.story.put(f.BelowFloor(attempt=1, role="outcome"))
        outcome.chain.mempool.clear()
        await outcome.bump()
        assert len(outcome.chain.packages) == 1

    async def test_child_refused_for_its_fee_is_followed_by_a_dearer_one(self, outcome: Run) -> None:
        await outcome.once()
        outcome.chain.verdicts[outcome.last.txid] = CONFLICT
        dearer = await outcome.once()
        assert [fact.number for fact in dearer.facts] == [2]
        first, second = outcome.all
        assert 4 * second.fee >= 5 * first.fee
        assert (await outcome.once()).reason is None
        assert txid_of(outcome.chain.received[-1]) == second.txid

    async def test_dearer_children_end_at_the_cap_and_say_why(self, outcome: Run) -> None:
        outcome.bench.services.wallet.fee_supply.append(fee_coin(2, 1_000_000))
        for _ in range(60):
            pinned = await outcome.once()
            for fact in outcome.all:
                outcome.chain.verdicts[fact.txid] = CONFLICT
            if isinstance(pinned, Again) and pinned.reason is not None:
                break
        assert pinned.reason == "conflict: insufficient fee"
        rescued = scene.contract().outcome_output(ContractOutcome(1)).value
        assert 0.75 * (rescued // 10) < outcome.last.fee <= rescued // 10

    @pytest.mark.parametrize("verdict", [BroadcastVerdict.INVALID, BroadcastVerdict.NOT_FINAL])
    async def test_refused_for_another_reason_waits_and_says_it(self, outcome: Run, verdict) -> None:
        await outcome.once()
        outcome.chain.verdicts[outcome.last.txid] = BroadcastResult(verdict, "words")
        again = await outcome.once()
        assert (again.facts, again.reason, len(outcome.all)) == ((), f"{verdict.value}: words", 1)

    async def test_coin_that_somebody_else_spent_is_given_up_for_another(self, bench, outcome: Run) -> None:
        bench.services.wallet.fee_supply.append(fee_coin(2, 100_000))
        await outcome.once()
        gone = BroadcastResult(BroadcastVerdict.MISSING_INPUTS, "bad-txns-inputs-missingorspent")
        outcome.chain.verdicts[outcome.last.txid] = gone
        waiting = await outcome.once()
        assert waiting.reason is not None
        outcome.chain.mine(transaction("9" * 64, outcome.last.coins[0]))
        await outcome.once()
        assert outcome.last.coins == (str(fee_coin(2, 0).outpoint),)
        await outcome.once()
        assert txid_of(outcome.chain.received[-1]) == outcome.last.txid

    async def test_wallet_without_coins_calls_the_operator_and_goes_on_by_itself(self, bench, outcome: Run) -> None:
        supply = bench.services.wallet.fee_supply
        kept, supply[:] = list(supply), []
        waiting = await outcome.once()
        assert isinstance(waiting, Again)
        assert [fact.topic for fact in waiting.facts if isinstance(fact, f.NeedsOperator)] == ["bump/outcome/1"]
        assert outcome.all == []
        supply.extend(kept)
        await outcome.bump()

    async def test_coins_that_reach_less_than_the_target_give_what_they_can(self, bench, outcome: Run) -> None:
        bench.services.wallet.fee_supply[:] = [fee_coin(3, 700)]
        pinned = await outcome.once()
        assert {type(fact) for fact in pinned.facts} == {f.NeedsOperator, f.Bumped}
        assert outcome.last.fee == 240 + 700 - 330

    async def test_release_gives_the_coins_back(self, bench, outcome: Run) -> None:
        await outcome.bump()
        duty = d.ReleaseFeeCoins(attempt=1, role="outcome")
        done = await ReleaseFeeCoinsExecutor(bench.services)(await bench.task(duty, PAYING, outcome.story))
        assert done == Done([f.FeeCoinsReleased(attempt=1, role="outcome")])
        assert bench.services.wallet.released == ["bump/outcome/1"]


class TestReplacement:
    @pytest.fixture
    async def sellback(self, bench, story: Story) -> Run:
        run = Run(bench, story, SELLBACK, SPLITTED, outcome=1, entry_id=SELLER.name, parent=b.SPLIT)
        await run.announce()
        run.overdue()
        run.chain.estimates[6] = FeeRate(2_000)
        return run

    async def test_sweep_is_signed_again_at_the_estimate(self, sellback: Run) -> None:
        first = Transaction.parse(sellback.chain.received[0])
        second = await sellback.bump()
        assert second.inputs[0].previous_output == first.inputs[0].previous_output
        assert second.inputs[0].witness[0] != first.inputs[0].witness[0]
        assert sellback.last.bump is BumpKind.REPLACEMENT
        paid = first.outputs[0].value - second.outputs[0].value
        assert paid > 0
        assert sellback.last.fee == fee_for_weight(FeeRate(2_000), 4 * second.vsize)

    async def test_replacement_is_announced_from_then_on(self, bench, sellback: Run) -> None:
        second = await sellback.bump()
        sellback.chain.mempool.clear()
        before = len(sellback.chain.received)
        task = await bench.task(sellback.broadcast, SPLITTED, sellback.story)
        await BroadcastExecutor(bench.services)(task)
        assert [txid_of(raw) for raw in sellback.chain.received[before:]] == [second.txid[::-1].hex()]

    async def test_conflicting_claim_is_outbid_at_once(self, bench, story: Story) -> None:
        run = Run(bench, story, SELLBACK, SPLITTED, outcome=1, entry_id=SELLER.name, parent=b.SPLIT)
        first = await run.announce()
        run.chain.mempool.clear()
        run.chain.verdicts[first.txid[::-1].hex()] = CONFLICT
        await run.announce()
        second = await run.bump()
        assert second.outputs[0].value < first.outputs[0].value

    async def test_returned_coin_is_signed_again_in_its_place(self, bench, story: Story) -> None:
        story.put(f.HoldsDecided(attempt=1, settle=False, at_height=b.Height(b.TIP)))
        run = Run(bench, story, "take-back/1", b.funding_broadcasted())
        first = await run.announce()
        run.overdue()
        run.chain.estimates[6] = FeeRate(3_000)
        second = await run.bump()
        assert second.inputs[0].previous_output == first.inputs[0].previous_output
        assert run.last.fee == scene.COIN.value - second.outputs[0].value


class TestDearBlocks:
    """The terms' ceiling is for contracts: what protects money leaves in any weather, at a tenth of it at most."""

    async def test_sweep(self, bench, story: Story) -> None:
        bench.house.chain.estimates[6] = FeeRate(200_000)
        run = Run(bench, story, SELLBACK, SPLITTED, outcome=1, entry_id=SELLER.name, parent=b.SPLIT)
        sent = await run.announce()
        player = scene.ROSTER.index(SELLER.name)
        value = scene.contract().split_output(WinCondition(ContractOutcome(1), player)).value
        assert value // 11 < value - sent.outputs[0].value <= value // 10

    async def test_returned_coin(self, bench, story: Story) -> None:
        bench.house.chain.estimates[6] = FeeRate(1_000_000)
        await Run(bench, story, "take-back/1", b.funding_broadcasted()).announce()
        [rate] = bench.services.wallet.taken_back_at
        assert scene.COIN.value // 11 < fee_for_weight(rate, 444) <= scene.COIN.value // 10

    async def test_without_an_estimate_a_little_above_the_floor(self, bench, story: Story) -> None:
        bench.house.chain.estimates[6] = None
        await Run(bench, story, "take-back/1", b.funding_broadcasted()).announce()
        assert bench.services.wallet.taken_back_at == [least_fee_rate(FeeRate(250))]
