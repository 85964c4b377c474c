"""Transactions of every role: built once, pinned, written down, then sent; each verified against a real contract."""

from __future__ import annotations

import hashlib

import msgspec
import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.engine.duty import Again, Done, Outcome
from coordinator.engine.executors import transactions as executor_module
from coordinator.engine.executors.chain import BroadcastExecutor
from coordinator.engine.executors.contracts import funding_was_signed
from coordinator.engine.executors.secret_names import entry_key_secret, payout_secret, ticket_secret
from coordinator.ports.bitcoin import BroadcastResult, BroadcastVerdict, FundingPlan
from coordinator_core.dlc.claims import DustSweep
from coordinator_core.dlc.outcomes import EXPIRY
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.errors import Misuse, VerificationFailed
from coordinator_core.secret import Secret
from coordinator_core.transaction import Transaction
from tests.support import lanes as b
from tests.support import scene
from tests.support.lanes import Story
from tests.support.ports import transaction, txid_of

PAYING = s.OutcomeBroadcasted(roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract="", outcome=1)
REFUNDING = s.ExpiryBroadcasted(roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract="")
SPLITTED = s.DeltaBroadcasted(
    roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract="", outcome=1, split_txid=b.SPLIT
)
WINNERS = scene.contract().parameters.winners(ContractOutcome(1))


def role_txid(outcome: int, kind: str) -> str:
    made = scene.contract()
    raw = {"outcome": made.outcome_txid, "split": made.split_txid}[kind](ContractOutcome(outcome))
    return raw[::-1].hex()


@pytest.fixture
async def story(bench) -> Story:
    """A signed contract in the blobs, tickets of the players, their preimages in the secret store."""
    story = Story()
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms, HoldState.SETTLED))
        name = ticket_secret(player.ticket_hash.hex())
        await bench.services.secrets.put(b.LANE, name, Secret(player.preimage))
    blob = await bench.services.put_blob(scene.signed().to_json().encode())
    plan = await bench.services.wallet.plan_funding(b.LANE, "funding/1", scene_output(), 510)
    name = await bench.services.put_blob(msgspec.json.encode(plan))
    pin = f.Pinned(**{**msgspec.structs.asdict(b.pinned()), "plan": name, "funding_txid": plan.txid})
    return story.put(pin, scene.contract_signed(blob))


def scene_output():
    from coordinator.ports.bitcoin import Output

    made = scene.contract().funding_output
    return Output(made.script_pubkey, made.value)


async def run(bench, story: Story, role: str, state: s.Competition, **more) -> Outcome:
    blob = next(fact.blob for fact in story.facts if isinstance(fact, f.ContractSigned))
    duty = d.Broadcast(role=role, attempt=1, contract=blob, **more)
    return await BroadcastExecutor(bench.services)(await bench.task(duty, state, story))


async def sent(bench, story: Story, role: str, state: s.Competition, **more) -> Transaction:
    """Build, write down, send: the transaction that the node got."""
    first = await run(bench, story, role, state, **more)
    assert isinstance(first, Again)
    built = first.facts[0]
    assert (first.seconds, built.role) == (0.0, role)
    assert bench.house.chain.received == []
    second = await run(bench, story.put(built), role, state, **more)
    assert second.facts == [f.Sent(role=role, txid=built.txid)]
    raw = bench.house.chain.received[-1]
    assert txid_of(raw) == built.txid
    return Transaction.parse(raw)


class TestOrder:
    async def test_nothing_leaves_before_it_is_written_down(self, bench, story: Story) -> None:
        await sent(bench, story, "funding", b.funding_broadcasted())
        assert await funding_was_signed(bench.services, b.LANE, 1)

    async def test_signed_once_whatever_happens_after(self, bench, story: Story) -> None:
        for _ in range(3):
            await run(bench, story, "funding", b.funding_broadcasted())
        assert bench.services.wallet.signatures == 1

    async def test_known_transaction_is_not_sent_again_but_watched_on(self, bench, story: Story) -> None:
        await sent(bench, story, "funding", b.funding_broadcasted())
        again = await run(bench, story, "funding", b.funding_broadcasted())
        assert isinstance(again, Again)
        assert again.reason is None
        bench.house.chain.mine(transaction(txid_of(bench.house.chain.received[0])))
        bench.house.chain.mempool.clear()
        mined = await run(bench, story, "funding", b.funding_broadcasted())
        assert isinstance(mined, Again)
        assert mined.seconds >= 1
        assert len(bench.house.chain.received) == 1

    async def test_lost_transaction_is_sent_again_as_it_was(self, bench, story: Story) -> None:
        await sent(bench, story, "funding", b.funding_broadcasted())
        bench.house.chain.mempool.clear()
        await run(bench, story, "funding", b.funding_broadcasted())
        first, second = bench.house.chain.received
        assert first == second

    @pytest.mark.parametrize("verdict", [BroadcastVerdict.NOT_FINAL, BroadcastVerdict.FEE_TOO_LOW])
    async def test_refusal_is_a_failure_with_the_nodes_words(self, bench, story: Story, verdict) -> None:
        first = await run(bench, story, "funding", b.funding_broadcasted())
        txid = first.facts[0].txid
        bench.house.chain.verdicts[txid] = BroadcastResult(verdict, "words")
        refused = await run(bench, story.put(*first.facts), "funding", b.funding_broadcasted())
        assert isinstance(refused, Again)
        too_little = verdict is BroadcastVerdict.FEE_TOO_LOW
        assert refused.facts == ((f.BelowFloor(attempt=1, role="funding"),) if too_little else ())
        assert refused.reason == f"funding: {verdict.value}: words"

    async def test_coin_is_taken_back_through_the_same_input(self, bench, story: Story) -> None:
        funding = await sent(bench, story, "funding", b.funding_broadcasted())
        bench.house.chain.received.clear()
        back = await sent(bench, story, "take-back/1", b.funding_broadcasted())
        assert back.inputs[0].previous_output == funding.inputs[0].previous_output


class TestContract:
    async def test_outcome_is_completed_with_the_attestation(self, bench, story: Story) -> None:
        story.put(scene.attested(1))
        raw = await sent(bench, story, "outcome", PAYING, outcome=1)
        assert raw.txid[::-1].hex() == role_txid(1, "outcome")

    async def test_attestation_of_another_event_completes_nothing(self, bench, story: Story) -> None:
        story.put(f.Attested(outcome=1, attestation=hashlib.sha256(b"other").hexdigest(), txid=b.OUTCOME))
        with pytest.raises(VerificationFailed):
            await run(bench, story, "outcome", PAYING, outcome=1)
        with pytest.raises(Misuse, match="no attestation"):
            await run(bench, Story(facts=story.facts[:-1]), "outcome", PAYING, outcome=1)

    async def test_expiry_needs_nobody(self, bench, story: Story) -> None:
        raw = await sent(bench, story, "expiry", REFUNDING)
        assert raw.txid == scene.contract().outcome_txid(EXPIRY)
        assert raw.txid[::-1].hex() == next(x.expiry_txid for x in story.facts if isinstance(x, f.ContractSigned))

    async def test_split_reveals_the_ticket_of_a_winner_that_was_not_written_off(self, bench, story: Story) -> None:
        first, second = (scene.PLAYERS[player] for player in WINNERS)
        raw = await sent(bench, story, "split", PAYING, outcome=1)
        assert raw.txid[::-1].hex() == role_txid(1, "split")
        assert first.preimage in raw.inputs[0].witness
        void = s.OutcomeBroadcasted(
            roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract="", outcome=1, written_off=(first.name,)
        )
        bench.house.chain.received.clear()
        async with bench.services.store.write_connection() as connection:
            await connection.exec_driver_sql("DELETE FROM pin")
        story.facts = [fact for fact in story.facts if not isinstance(fact, f.Built)]
        bench.house.chain.mempool.clear()
        raw = await sent(bench, story, "split", void, outcome=1)
        assert first.preimage not in raw.inputs[0].witness
        assert second.preimage in raw.inputs[0].witness

    async def test_no_split_through_written_off_tickets_only(self, bench, story: Story) -> None:
        names = tuple(scene.PLAYERS[player].name for player in WINNERS)
        void = s.OutcomeBroadcasted(
            roster=scene.ROSTER, attempt=1, funding_txid=b.FUNDING, contract="", outcome=1, written_off=names
        )
        with pytest.raises(Misuse, match="no winner's ticket"):
            await run(bench, story, "split", void, outcome=1)

    @pytest.mark.parametrize("how", ["close", "sellback", "reclaim"])
    async def test_sweep_spends_the_winners_output_to_ourselves(self, bench, story: Story, how: str) -> None:
        player = scene.PLAYERS[WINNERS[1]]
        secrets = bench.services.secrets
        await secrets.put(b.LANE, entry_key_secret(player.name), Secret(player.key().reveal()))
        await secrets.put(b.LANE, payout_secret(player.name), Secret(player.payout_preimage))
        role = f"sweep:{how}:{player.name}"
        raw = await sent(bench, story, role, SPLITTED, outcome=1, entry_id=player.name, parent=b.SPLIT)
        spent = raw.inputs[0].previous_output
        assert (spent.txid[::-1].hex(), spent.vout) == (role_txid(1, "split"), 1)
        assert [output.script_pubkey for output in raw.outputs] == [scene.OWN_SCRIPT]
        assert (player.payout_preimage in raw.inputs[0].witness) is (how == "sellback")

    async def test_close_of_the_outcome_needs_every_winners_key(self, bench, story: Story) -> None:
        winners = [scene.PLAYERS[player] for player in WINNERS]
        await bench.services.secrets.put(b.LANE, entry_key_secret(winners[0].name), Secret(winners[0].key().reveal()))
        with pytest.raises(Misuse, match="missing"):
            await run(bench, story, "close", PAYING, outcome=1)
        await bench.services.secrets.put(b.LANE, entry_key_secret(winners[1].name), Secret(winners[1].key().reveal()))
        raw = await sent(bench, story, "close", PAYING, outcome=1)
        assert raw.inputs[0].previous_output.txid[::-1].hex() == role_txid(1, "outcome")

    async def test_reclaim_of_the_outcome_waits_two_deltas(self, bench, story: Story) -> None:
        raw = await sent(bench, story, "reclaim", PAYING, outcome=1)
        assert raw.inputs[0].sequence == 2 * b.DELTA

    async def test_dust_is_recorded_once(self, bench, story: Story, monkeypatch) -> None:
        def dust(*_: object) -> None:
            raise DustSweep("sweep", "100 sat", "none")

        monkeypatch.setattr(executor_module.claims, "sweep", dust)
        done = await run(bench, story, "reclaim", PAYING, outcome=1)
        assert isinstance(done, Done)
        assert done.facts[0].topic == "dust/reclaim"
        assert bench.house.chain.received == []


def test_plan_of_the_wallet_is_read_back_as_it_was() -> None:
    assert (
        msgspec.json.decode(
            b'{"unsigned":"AA==","txid":"t","coins":[],"output_index":0,"change_index":1,"change_value":5,"fee":6}',
            type=FundingPlan,
        ).fee
        == 6
    )
