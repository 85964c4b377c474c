"""Signing: batches pinned and opened, spares with the same items, approvals forwarded once, signatures verified."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions.closing import spares_allowed
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import keymeld_signing
from coordinator.engine.executors.contracts import read_signatures
from coordinator.ports import keymeld as km
from coordinator.ports.faults import Unreachable
from coordinator_core.dlc.verification import assemble
from coordinator_core.errors import Misuse, VerificationFailed
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support import scene
from tests.support.attempt import ROSTER, Attempt, Prepared
from tests.support.keymeld_book import BookKeymeld, refusal
from tests.support.scene import PLAYERS

GONE = [km.SessionGone, km.SessionFailed, km.QuotaExceeded, km.SessionTaken]
AT = b.WALL


def fault(reason: str = "no") -> Done:
    return Done([f.AttemptFault(attempt=1, reason=reason)])


class Prepares:
    """Tests that begin with open batches."""

    @pytest.fixture
    def new_database(self, prepared: Prepared, tmp_path: Path) -> Path:
        """One in which the batches of an attempt are open."""
        return Path(shutil.copy(prepared.database, tmp_path / "coordinator.db"))

    @pytest.fixture
    def attempt(self, attempt: Attempt, prepared: Prepared) -> Attempt:
        attempt.prepared = prepared
        return attempt


class TestOpenBatches:
    async def test_every_item_of_the_contract_stands_once_in_a_batch(self, attempt: Attempt, book: BookKeymeld) -> None:
        (batch,) = await attempt.batches()
        held = await keymeld_signing.credentials(attempt.services, b.LANE, 1)
        plain = [item.decrypt(held.session_secret) for item in book.batches[batch.session_id].items]
        items = scene.contract().signing_items()
        assert batch.items == len(plain) == len(items)
        messages = [(item.message, None if item.adaptor is None else item.adaptor.point) for item in plain]
        assert messages == [(item.message, item.adaptor_point) for item in items]
        assert attempt.batches_open.opened_at == b.WALL

    async def test_a_lost_answer_opens_the_same_ciphertexts_again(self, attempt: Attempt, book: BookKeymeld) -> None:
        await attempt.keygen()
        await attempt.pin()
        book.lost = {"start_signing"}
        with pytest.raises(Unreachable):
            await attempt.run(d.OpenBatches(attempt=1, roster=ROSTER))
        sent = dict(book.batches)
        assert isinstance(await attempt.run(d.OpenBatches(attempt=1, roster=ROSTER)), Done)
        assert book.batches == sent
        assert {batch.session_id for batch in attempt.batches_open.batches} == set(sent)

    @pytest.mark.parametrize("kind", GONE)
    async def test_what_keymeld_ends_is_its_fault(self, attempt: Attempt, book: BookKeymeld, kind: type[Any]) -> None:
        await attempt.keygen()
        await attempt.pin()
        book.refusals = {"start_signing": refusal(kind)}
        assert await attempt.run(d.OpenBatches(attempt=1, roster=ROSTER)) == fault()

    async def test_nothing_is_sent_for_signing_without_a_pinned_contract(
        self, attempt: Attempt, book: BookKeymeld
    ) -> None:
        await attempt.keygen()
        with pytest.raises(Misuse, match="no pinned contract"):
            await attempt.run(d.OpenBatches(attempt=1, roster=ROSTER))
        assert book.made("start_signing") == 0

    async def test_nor_without_a_roster_that_verifies_again(self, attempt: Attempt, book: BookKeymeld) -> None:
        """The stored roster is judged anew: another's stored in its place signs nothing."""
        await attempt.open()
        await attempt.pin()
        with pytest.raises(Misuse, match="has no roster"):
            await attempt.run(d.OpenBatches(attempt=1, roster=ROSTER))
        other = Attempt(attempt.services, book, number=2)
        await other.keygen()
        foreign = other.story.lane.facts.get(f.Keygen, 2)
        assert foreign is not None
        attempt.story.put(f.Keygen(attempt=1, roster=foreign.roster))
        with pytest.raises(VerificationFailed):
            await attempt.run(d.OpenBatches(attempt=1, roster=ROSTER))
        assert book.made("start_signing") == 0


class TestSpare(Prepares):
    async def test_holds_exactly_the_items_of_the_batch_it_replaces(self, attempt: Attempt, book: BookKeymeld) -> None:
        (batch,) = await attempt.batches()
        (spare,) = (await attempt.spare(batch.session_id)).facts
        assert isinstance(spare, f.SpareOpen)
        assert spare.batch == f.Batch(spare.batch.session_id, 0, batch.items, replaces=batch.session_id)
        assert spare.batch.session_id != batch.session_id
        assert book.batches[spare.batch.session_id].items == book.batches[batch.session_id].items

    async def test_a_lost_answer_opens_the_same_session_again(self, attempt: Attempt, book: BookKeymeld) -> None:
        (batch,) = await attempt.batches()
        book.lost = {"start_signing"}
        with pytest.raises(Unreachable):
            await attempt.spare(batch.session_id)
        (spare,) = (await attempt.spare(batch.session_id)).facts
        assert isinstance(spare, f.SpareOpen)
        assert set(book.batches) == {batch.session_id, spare.batch.session_id}

    async def test_no_more_than_the_manifest_grants(self, attempt: Attempt, book: BookKeymeld) -> None:
        (batch,) = await attempt.batches()
        last = batch.session_id
        for _ in range(spares_allowed(1)):
            (spare,) = (await attempt.spare(last)).facts
            assert isinstance(spare, f.SpareOpen)
            last = spare.batch.session_id
        opened = book.made("start_signing")
        assert await attempt.spare(last) == fault("no spare signing session is left")
        assert book.made("start_signing") == opened
        assert len(book.batches) == attempt.manifest.manifest.max_signing_sessions

    @pytest.mark.parametrize("kind", GONE)
    async def test_what_keymeld_ends_is_its_fault(self, attempt: Attempt, book: BookKeymeld, kind: type[Any]) -> None:
        (batch,) = await attempt.batches()
        book.refusals = {"start_signing": refusal(kind)}
        assert await attempt.spare(batch.session_id) == fault()

    async def test_a_session_that_was_never_opened_has_no_spare(self, attempt: Attempt) -> None:
        await attempt.batches()
        with pytest.raises(Misuse, match="was never opened"):
            await attempt.spare("11111111-1111-4111-8111-111111111111")


class TestForward(Prepares):
    def forwarded(self, session_id: str, player: scene.Player = PLAYERS[0]) -> Done:
        return Done([f.Forwarded(attempt=1, entry_id=player.name, session_id=session_id)])

    def spent(self, session_id: str, *, header_used: bool = False) -> Done:
        fact = f.ApprovalSpent(
            attempt=1,
            entry_id=ROSTER[0],
            session_id=session_id,
            timestamp=UnixTime(AT),
            header_used=header_used,
        )
        return Done([fact])

    async def test_what_the_gateway_holds_is_forwarded(self, attempt: Attempt, book: BookKeymeld) -> None:
        (batch,) = await attempt.batches()
        outcomes = await attempt.approve(PLAYERS, batch.session_id, AT)
        assert outcomes == [self.forwarded(batch.session_id, player) for player in PLAYERS]
        assert book.approved[batch.session_id] == set(ROSTER)

    @pytest.mark.parametrize(("age", "leaves"), [(120, True), (121, False)])
    async def test_an_approval_that_grew_old_is_asked_for_again_without_its_header_leaving(
        self, attempt: Attempt, book: BookKeymeld, age: int, leaves: bool
    ) -> None:
        """By the gateway's clock: ours stands still. It cannot be refused there, so no spare is spent on it."""
        (batch,) = await attempt.batches()
        book.time = AT + age
        (outcome,) = await attempt.approve(PLAYERS[:1], batch.session_id, AT)
        assert outcome == (self.forwarded if leaves else self.spent)(batch.session_id)
        assert len(book.headers) == int(leaves)
        fresh = await attempt.approve(PLAYERS[:1], batch.session_id, AT + age)
        assert fresh == [self.forwarded(batch.session_id)]

    async def test_a_header_that_the_player_had_used_up_is_its_own_fault(
        self, attempt: Attempt, book: BookKeymeld
    ) -> None:
        (batch,) = await attempt.batches()
        book.refusals = {"approve": refusal(km.HeaderUsed, "401 Authentication proof already used")}
        outcomes = await attempt.approve(PLAYERS[:1], batch.session_id, AT)
        assert outcomes == [self.spent(batch.session_id, header_used=True)]

    async def test_a_header_that_arrived_twice_has_approved(self, attempt: Attempt, book: BookKeymeld) -> None:
        """A proxy on the way sent it again: the gateway's answer to the second is what we hear."""
        (batch,) = await attempt.batches()

        class Twice(dict[str, set[str]]):
            looked = 0

            def get(self, name: str, default: Any = None) -> set[str]:
                self.looked += 1
                return {ROSTER[0]} if self.looked > 1 else set()

        book.approved = Twice()
        book.refusals = {"approve": refusal(km.HeaderUsed, "401 Authentication proof already used")}
        assert await attempt.approve(PLAYERS[:1], batch.session_id, AT) == [self.forwarded(batch.session_id)]

    @pytest.mark.parametrize("kind", [km.ApprovalRefused, *GONE])
    async def test_any_other_refusal_of_what_we_verified_is_keymelds(
        self, attempt: Attempt, book: BookKeymeld, kind: type[Any]
    ) -> None:
        (batch,) = await attempt.batches()
        book.refusals = {"approve": refusal(kind)}
        hung = Done([f.BatchHung(attempt=1, session_id=batch.session_id, reason="no")])
        assert await attempt.approve(PLAYERS[:1], batch.session_id, AT) == [hung]

    async def test_an_approval_that_was_replaced_is_not_sent(self, attempt: Attempt, book: BookKeymeld) -> None:
        (batch,) = await attempt.batches()
        await attempt.approve(PLAYERS[:1], batch.session_id, AT)
        old = d.ForwardApproval(attempt=1, entry_id=ROSTER[0], session_id=batch.session_id, timestamp=AT - 5)
        assert await attempt.run(old) == Done()
        assert len(book.headers) == 1


class TestCollect(Prepares):
    async def test_signatures_are_kept_as_they_were_verified(self, attempt: Attempt) -> None:
        (batch,) = await attempt.batches()
        await attempt.approve(PLAYERS, batch.session_id, AT)
        (signed,) = (await attempt.collect(batch.session_id)).facts
        assert isinstance(signed, f.BatchSigned)
        signatures = read_signatures(await attempt.services.blob(signed.blob))
        assert assemble(scene.contract(), signatures)
        assert await attempt.services.blob(signed.status) == b'{"status":"completed"}'

    async def test_a_repeat_is_the_same_fact(self, attempt: Attempt) -> None:
        (batch,) = await attempt.batches()
        await attempt.approve(PLAYERS, batch.session_id, AT)
        (first,) = (await attempt.collect(batch.session_id)).facts
        (again,) = (await attempt.collect(batch.session_id)).facts
        assert isinstance(first, f.BatchSigned)
        assert isinstance(again, f.BatchSigned)
        assert (again.key, again.session_id, again.status) == (first.key, first.session_id, first.status)

    async def test_a_wrong_signature_hangs_the_batch_and_nothing_of_it_is_kept(
        self, attempt: Attempt, book: BookKeymeld
    ) -> None:
        (batch,) = await attempt.batches()
        await attempt.approve(PLAYERS, batch.session_id, AT)
        book.spoil = True
        (hung,) = (await attempt.collect(batch.session_id)).facts
        assert isinstance(hung, f.BatchHung)
        assert hung.session_id == batch.session_id
        assert "signature does not verify" in hung.reason

    async def test_waits_for_approvals_as_long_as_the_terms_give_and_no_longer(self, attempt: Attempt, bench) -> None:
        (batch,) = await attempt.batches()
        window = attempt.story.terms.schedule.closing.signatures
        assert isinstance(await attempt.collect(batch.session_id), Again)
        bench.house.clock.seconds += window - 1
        assert isinstance(await attempt.collect(batch.session_id), Again)
        bench.house.clock.seconds += 1
        late = f.BatchHung(attempt=1, session_id=batch.session_id, reason="did not end in time")
        assert await attempt.collect(batch.session_id) == Done([late])

    @pytest.mark.parametrize("kind", GONE)
    async def test_a_session_that_is_over_needs_a_spare(
        self, attempt: Attempt, book: BookKeymeld, kind: type[Any]
    ) -> None:
        (batch,) = await attempt.batches()
        book.refusals = {"signatures": refusal(kind)}
        (hung,) = (await attempt.collect(batch.session_id)).facts
        assert isinstance(hung, f.BatchHung)

    async def test_a_spare_is_signed_like_the_batch_it_replaces(self, attempt: Attempt) -> None:
        (batch,) = await attempt.batches()
        (spare,) = (await attempt.spare(batch.session_id)).facts
        assert isinstance(spare, f.SpareOpen)
        name = spare.batch.session_id
        await attempt.approve(PLAYERS, name, AT)
        (signed,) = (await attempt.collect(name)).facts
        assert isinstance(signed, f.BatchSigned)
        assert (signed.session_id, signed.index) == (name, 0)

    async def test_an_outage_goes_to_the_worker_that_counts_it(self, attempt: Attempt, book: BookKeymeld) -> None:
        (batch,) = await attempt.batches()
        await attempt.approve(PLAYERS, batch.session_id, AT)
        book.lost = {"signatures"}
        with pytest.raises(Unreachable):
            await attempt.collect(batch.session_id)
