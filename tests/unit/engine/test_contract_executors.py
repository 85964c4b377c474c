"""Kick-off, pinning, assembling, releasing; and the oracle's duties, with true points and scalars."""

from __future__ import annotations

import dataclasses
import threading
from uuid import UUID

import msgspec
import pytest

from coordinator.adapters.bitcoin import OnchainWallet
from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import contracts, oracle
from coordinator.engine.executors.contracts import funding_duty, read_signatures
from coordinator.ports.bitcoin import Coin, Network, Outpoint
from coordinator.ports.oracle import PlanFinding, PlanProblem
from coordinator_core.dlc.contract import Contract
from coordinator_core.dlc.outcomes import EXPIRY
from coordinator_core.dlc.serialization import parameters_from_json, parameters_to_json
from coordinator_core.errors import InvalidInput, InvalidSignature, Misuse, VerificationFailed
from coordinator_core.musig2 import SoloSigner
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint
from coordinator_core.units import Confirmations, Sats
from tests.support import lanes as b
from tests.support import scene
from tests.support.lanes import Story
from tests.support.ports import MemorySecrets


@pytest.fixture
def story() -> Story:
    story = Story().put(scene.oracle_event(), b.posted())
    for player in scene.PLAYERS:
        story.put(*player.facts(story.terms), player.seal())
    return story


class TestPin:
    duty = d.PinContract(attempt=1, roster=scene.ROSTER, event_id="e")

    async def run(self, bench, story: Story):
        task = await bench.task(self.duty, b.entries_submitted(1, scene.ROSTER), story)
        return await contracts.PinContractExecutor(bench.services)(task)

    async def test_parameters_follow_from_terms_entries_and_points(self, bench, story: Story) -> None:
        done = await self.run(bench, story)
        pin = done.facts[0]
        parameters = parameters_from_json(await bench.services.blob(pin.parameters))
        assert parameters == scene.contract(pin.fee_rate).parameters
        assert (pin.attempt, pin.funding_value, pin.funding_vout) == (1, parameters.funding_value, 0)
        assert pin.inputs == (str(scene.COIN.outpoint),)
        plan = await contracts.funding_plan(bench.services, story.put(pin).lane, 1)
        assert plan.txid == pin.funding_txid

    async def test_the_contract_is_not_built_on_the_loop(self, bench, story: Story, monkeypatch) -> None:
        """A large one takes seconds: nothing else would go on, no heartbeat either."""
        build, threads = contracts.Contract.build, []

        def noted(parameters, outpoint):
            threads.append(threading.current_thread())
            return build(parameters, outpoint)

        monkeypatch.setattr(contracts.Contract, "build", noted)
        await self.run(bench, story)
        assert threads
        assert threading.current_thread() not in threads

    async def test_second_try_after_a_crash_pins_the_same_at_another_fee(self, bench, story: Story) -> None:
        first = await self.run(bench, story)

        async def dearer(target: int) -> int:
            return 700

        bench.services.chain.fee_rate = dearer
        assert await self.run(bench, story) == first

    async def test_kick_off_that_says_no_waits_and_says_why(self, bench, story: Story) -> None:
        bench.services.wallet.coins = 10
        held = await self.run(bench, story)
        assert isinstance(held, Again)
        assert held.facts[0].kind() == "kick_off_held"
        assert "wallet" in held.reason
        bench.services.wallet.coins = 1_000_000
        bench.services.lightning.outbound = 10
        assert "lightning" in (await self.run(bench, story)).reason
        bench.services.lightning.outbound = 10_000_000
        assert isinstance(await self.run(bench, story), Done)

    async def test_next_funding_spends_a_coin_of_every_one_that_was_signed(self, bench, story: Story) -> None:
        await self.run(bench, story)
        assert bench.services.wallet.required == [[]]
        earlier = b.pinned(2)
        story.put(earlier)
        async with bench.house.store.write() as tx:
            await tx.pin(funding_duty(b.LANE, 2), "raw", b"signed")
        await self.run(bench, story)
        assert [[str(o) for o in group] for group in bench.services.wallet.required[-1]] == [list(earlier.inputs)]

    async def test_entry_that_was_never_signed_is_no_contract(self, bench, story: Story) -> None:
        story.facts = [fact for fact in story.facts if not isinstance(fact, f.Entry)]
        with pytest.raises(Misuse, match="never signed"):
            await self.run(bench, story)


class TestAssemble:
    async def made(self, bench, story: Story, *, spoil: bool = False):
        pin = f.Pinned(
            attempt=1,
            parameters=await bench.services.put_blob(self.parameters()),
            plan="",
            funding_txid=b.FUNDING,
            funding_vout=0,
            funding_value=scene.contract().parameters.funding_value,
            fee_rate=scene.contract().parameters.fee_rate,
            inputs=(),
            at_height=b.pinned().at_height,
        )
        keys = [MemorySecrets().market_maker_key(b.LANE), *(player.key() for player in scene.PLAYERS)]
        signatures = SoloSigner(keys).sign(scene.contract().signing_items())
        if spoil:
            signatures[3] = signatures[4]
        story.put(pin)
        for index, part in enumerate((signatures[:7], signatures[7:])):
            blob = await bench.services.put_blob(b"".join(bytes([len(x)]) + x for x in part))
            story.put(f.BatchSigned(attempt=1, session_id=f"s{index}", index=index, blob=blob, status=""))
        task = await bench.task(d.AssembleContract(attempt=1, roster=scene.ROSTER), b.awaiting_signing(), story)
        return await contracts.AssembleContractExecutor(bench.services)(task)

    @staticmethod
    def parameters() -> bytes:
        return parameters_to_json(scene.contract().parameters).encode()

    async def test_batches_become_the_contract_with_its_expiry_known(self, bench, story: Story) -> None:
        done = await self.made(bench, story)
        fact = done.facts[0]
        signed = await contracts.signed_contract(bench.services, fact.blob)
        assert signed.contract.digest == scene.contract().digest
        assert fact.expiry_txid == scene.contract().outcome_txid(EXPIRY)[::-1].hex()

    async def test_one_wrong_signature_makes_no_contract(self, bench, story: Story) -> None:
        with pytest.raises((InvalidSignature, InvalidInput)):
            await self.made(bench, story, spoil=True)

    def test_signatures_of_a_batch_are_length_prefixed(self) -> None:
        assert read_signatures(b"\x02ab\x01c\x00") == [b"ab", b"c", b""]


class TestRelease:
    duty = d.ReleaseCoins(attempt=1)

    async def run(self, bench, story: Story | None = None):
        task = await bench.task(self.duty, s.Returning(reason="r", ends_in="failed"), story or Story())
        return await contracts.ReleaseCoinsExecutor(bench.services)(task)

    async def sign(self, bench) -> None:
        async with bench.house.store.write() as tx:
            await tx.pin(funding_duty(b.LANE, 1), "raw", b"signed")

    async def test_coins_of_an_unsigned_funding_are_given_back(self, bench) -> None:
        assert await self.run(bench) == Done([f.CoinsReleased(attempt=1)])
        assert bench.services.wallet.released == ["funding/1"]

    async def test_coins_of_a_signed_one_stay_until_it_can_never_confirm(self, bench) -> None:
        await self.sign(bench)
        story = Story().put(b.pinned())
        done = await self.run(bench, story)
        assert [(fact.key, fact.txid, fact.spends) for fact in done.facts] == [("funding/1", b.FUNDING, b.COIN)]
        assert bench.services.wallet.released == []

    @pytest.mark.parametrize("depth", [2, 3])
    async def test_a_spend_of_one_coin_that_is_deep_enough_frees_the_others(self, bench, depth: int) -> None:
        await self.sign(bench)
        story = Story(b.terms_with(b.MAINNET)).put(b.pinned()).spend(b.COIN, b.STRANGER, b.TIP - depth + 1)
        done = await self.run(bench, story)
        assert (bench.services.wallet.released == ["funding/1"]) is (depth == 3)
        assert isinstance(done.facts[0], f.CoinsReleased if depth == 3 else f.Built)


class TestPinOutlivesItsAttempt:
    """keymeld fails the attempt while its contract is being pinned: whichever is written first, no coin stays taken."""

    @pytest.fixture
    async def wallet(self, bench) -> OnchainWallet:
        house = bench.house
        wallet = OnchainWallet(house.store, house.chain, Secret(b"\x01" * 32), Network.REGTEST)
        coin = Coin(Outpoint("c" * 64, 0), Sats(1_000_000), await wallet.script_for("o", "d"), Confirmations(6))

        async def coins_of(scripts: object) -> tuple[Coin, ...]:
            return (coin,)

        house.chain.coins_of = coins_of
        bench.services = dataclasses.replace(bench.services, wallet=wallet)
        return wallet

    async def pin(self, bench, story: Story):
        task = await bench.task(TestPin.duty, b.entries_submitted(1, scene.ROSTER), story)
        return await contracts.PinContractExecutor(bench.services)(task)

    async def release(self, bench):
        task = await bench.task(d.ReleaseCoins(attempt=1), b.event_created(2), Story())
        return await contracts.ReleaseCoinsExecutor(bench.services)(task)

    async def test_pinned_first(self, bench, story: Story, wallet: OnchainWallet) -> None:
        assert isinstance(await self.pin(bench, story), Done)
        assert await wallet.balance() == 0
        await self.release(bench)
        assert await wallet.balance() == 1_000_000

    async def test_released_first(self, bench, story: Story, wallet: OnchainWallet) -> None:
        await self.release(bench)
        late = await self.pin(bench, story)
        assert isinstance(late, Again)
        assert "was released" in late.reason
        assert await wallet.balance() == 1_000_000

    async def test_the_next_attempt_gets_the_coin(self, bench, story: Story, wallet: OnchainWallet) -> None:
        await self.pin(bench, story)
        await self.release(bench)
        second = d.PinContract(attempt=2, roster=scene.ROSTER, event_id="e")
        story.put(scene.oracle_event(2))
        task = await bench.task(second, b.entries_submitted(2, scene.ROSTER), story)
        assert isinstance(await contracts.PinContractExecutor(bench.services)(task), Done)


class TestOracle:
    async def create(self, bench, attempt: int = 1, entries: int = 3):
        task = await bench.task(d.CreateEvent(attempt=attempt, entries=entries), b.event_created(attempt), Story())
        return await oracle.CreateEventExecutor(bench.services)(task)

    async def test_planning(self, bench) -> None:
        task = await bench.task(d.CheckPlanning(), b.awaiting_escrow(), Story())
        executor = oracle.CheckPlanningExecutor(bench.services)
        assert await executor(task) == Done([f.PlanningChecked()])
        bench.services.oracle.problems = (PlanFinding(PlanProblem.NO_FORECAST, "KORD", "no forecast for KORD"),)
        assert (await executor(task)).reason == "no forecast for KORD"

    async def test_event_of_the_attempt_is_made_once(self, bench) -> None:
        first, second = await self.create(bench), await self.create(bench)
        assert first == second == Done([scene.oracle_event()])
        other = await self.create(bench, 2)
        assert other.facts[0].event_id == str(Story().terms.oracle.event_ids[2])

    async def test_other_key_than_in_the_terms(self, bench) -> None:
        bench.services.oracle.key = SecretKey.from_bytes(bytes([3]) * 32)
        with pytest.raises(VerificationFailed, match="not the key of the terms"):
            await self.create(bench)
        assert bench.services.oracle.events == {}

    async def test_points_that_do_not_follow_from_key_and_nonce(self, bench) -> None:
        bench.services.oracle.swapped_points = True
        with pytest.raises(VerificationFailed):
            await self.create(bench)

    async def test_entries_wait_for_the_statement_and_a_false_one_is_refused(self, bench, story: Story) -> None:
        await self.create(bench)
        event_id = scene.oracle_event().event_id
        duty = d.SubmitEntries(attempt=1, event_id=event_id, roster=scene.ROSTER)
        task = await bench.task(duty, b.entries_submitted(1, scene.ROSTER), story)
        executor = oracle.SubmitEntriesExecutor(bench.services)
        assert isinstance(await executor(task), Again)
        bench.services.oracle.statement = b"{}"
        with pytest.raises((InvalidInput, VerificationFailed)):
            await executor(task)

    async def test_entries_need_every_players_picks(self, bench, story: Story) -> None:
        story.facts = [fact for fact in story.facts if not isinstance(fact, f.Seal)]
        duty = d.SubmitEntries(attempt=1, event_id=scene.oracle_event().event_id, roster=scene.ROSTER)
        with pytest.raises(Misuse, match="did not open its picks"):
            await oracle.SubmitEntriesExecutor(bench.services)(
                await bench.task(duty, b.entries_submitted(1, scene.ROSTER), story)
            )

    async def poll(self, bench, scalar: bytes | None):
        event_id = scene.oracle_event().event_id
        if scalar is not None:
            bench.services.oracle.attested[UUID(event_id)] = scalar
        duty = d.PollAttestation(attempt=1, event_id=event_id, entries=3)
        parameters = await bench.services.put_blob(parameters_to_json(scene.contract().parameters).encode())
        pin = msgspec.structs.replace(b.pinned(), parameters=parameters)
        story = Story().put(scene.oracle_event(), pin)
        return await oracle.PollAttestationExecutor(bench.services)(
            await bench.task(duty, b.awaiting_attestation(), story)
        )

    @pytest.mark.parametrize("outcome", [0, 3, b.REFUND_ALL_OF_3])
    async def test_attestation_is_the_outcome_whose_point_it_opens(self, bench, outcome: int) -> None:
        done = await self.poll(bench, scene.attestation(outcome))
        assert done == Done([scene.attested(outcome)])

    async def test_no_attestation_yet(self, bench) -> None:
        assert isinstance(await self.poll(bench, None), Again)

    @pytest.mark.parametrize("scalar", [bytes(31) + b"\x05", bytes(32), b"\xff" * 32])
    async def test_scalar_that_opens_nothing_is_refused_whatever_the_clock_says(self, bench, scalar: bytes) -> None:
        with pytest.raises((VerificationFailed, InvalidInput)):
            await self.poll(bench, scalar)


def test_contract_of_the_scene_is_the_one_of_the_terms() -> None:
    parameters = scene.contract().parameters
    assert Contract.build(parameters, OutPoint(bytes(32), 0)).parameters.relative_locktime_block_delta == b.DELTA
