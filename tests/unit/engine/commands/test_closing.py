"""Join and ready: keys sealed in their window, picks opened against the commitment, batches compared."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.engine.commands import closing
from coordinator.engine.submit import Conflict, Decision
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.player_keys import slot_key
from coordinator_core.errors import CoreError, Fault, InvalidInput, VerificationFailed
from coordinator_core.keymeld.envelope import seal_registration
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.secp256k1 import SecretKey
from tests.support import lanes as b
from tests.support import scene
from tests.support.attempt import ROSTER, Attempt, altered
from tests.support.keymeld_book import EPOCH
from tests.support.scene import PICKS, PLAYERS, Player

ME, OTHER = PLAYERS[0], PLAYERS[1]
STATE = b.awaiting_keygen(1, ROSTER)


@pytest.fixture
async def opened(attempt: Attempt) -> Attempt:
    await attempt.open()
    return attempt


def join(
    attempt: Attempt,
    sealed: SealedRegistration | None = None,
    *,
    player: Player = ME,
    by: Player | None = None,
    picks: tuple[Pick, ...] = PICKS,
    salt: bytes | None = None,
    number: int = 1,
    state: s.Competition = STATE,
) -> Decision:
    sealed = sealed or attempt.registration(player)
    salt = bytes.fromhex(player.seal().salt) if salt is None else salt
    registration, ciphertext = sealed.authorization.to_json(), sealed.ciphertext.hex()
    who = (by or player).identity.x_only.hex()
    decide = closing.join(who, player.name, number, registration, ciphertext, salt, picks)
    return decide(state, attempt.story.lane)


class TestJoin:
    async def test_a_seal_with_its_picks(self, opened: Attempt) -> None:
        sealed = opened.registration(ME)
        decision = join(opened, sealed)
        (fact,) = decision.facts
        assert isinstance(fact, f.Seal)
        assert fact == altered(opened.seal(ME, sealed), at=b.WALL)
        assert msgspec.json.decode(fact.picks, type=tuple[Pick, ...]) == PICKS
        names = {"entry_id": ME.name, "keymeld_user_id": ME.name, "keymeld_session_id": opened.opened.session_id}
        assert decision.answer == names

    async def test_the_same_again_has_no_effect_another_is_refused(self, opened: Attempt) -> None:
        sealed = opened.registration(ME)
        (fact,) = join(opened, sealed).facts
        opened.story.put(fact)
        opened.story.set(wall=b.WALL + 5)
        join(opened, sealed)
        with pytest.raises(Conflict, match="is sealed in this attempt already"):
            join(opened, opened.registration(ME))

    @pytest.mark.parametrize(("at", "open_"), [(0, True), (b.SEALING - 1, True), (b.SEALING, False)])
    async def test_only_in_its_window(self, opened: Attempt, at: int, open_: bool) -> None:
        opened.story.set(wall=b.WALL + at)
        if open_:
            assert join(opened).facts
        else:
            with pytest.raises(Conflict, match="the sealing window is not open"):
                join(opened)

    async def test_not_before_the_session_is_open(self, attempt: Attempt) -> None:
        await attempt.open()
        sealed = attempt.registration(ME)
        attempt.story.facts = [fact for fact in attempt.story.facts if not isinstance(fact, f.SessionOpen)]
        with pytest.raises(Conflict, match="the sealing window is not open"):
            join(attempt, sealed)

    @pytest.mark.parametrize(
        ("state", "number"),
        [
            (b.awaiting_keygen(2, ROSTER), 1),
            (STATE, 2),
            (b.awaiting_signing(1, ROSTER), 1),
            (b.awaiting_keygen(1, ROSTER[1:]), 1),
        ],
    )
    async def test_only_of_this_attempt_and_its_roster(
        self, opened: Attempt, state: s.Competition, number: int
    ) -> None:
        with pytest.raises(Conflict, match="keys of this attempt are not being sealed") as caught:
            join(opened, number=number, state=state)
        assert caught.value.fault is Fault.PLAYER

    async def test_not_for_another_players_entry(self, opened: Attempt) -> None:
        with pytest.raises(InvalidInput, match="is not one of yours"):
            join(opened, by=OTHER)

    async def test_not_without_a_signed_entry(self, opened: Attempt) -> None:
        sealed = opened.registration(ME)
        opened.story.facts = [fact for fact in opened.story.facts if not isinstance(fact, f.Entry)]
        with pytest.raises(InvalidInput, match="was never signed"):
            join(opened, sealed)

    @pytest.mark.parametrize(
        ("picks", "salt"),
        [
            (PICKS[:2], None),
            ((*PICKS[:2], altered(PICKS[2], choice=Choice.OVER)), None),
            ((*PICKS[:2], altered(PICKS[2], metric="rain_amt")), None),
            (PICKS, bytes(32)),
        ],
    )
    async def test_picks_are_the_ones_that_were_committed_to(
        self, opened: Attempt, picks: tuple[Pick, ...], salt: bytes | None
    ) -> None:
        with pytest.raises((InvalidInput, VerificationFailed)):
            join(opened, picks=picks, salt=salt)

    async def test_the_order_of_the_picks_does_not_matter(self, opened: Attempt) -> None:
        (fact,) = join(opened, picks=PICKS[::-1]).facts
        assert isinstance(fact, f.Seal)
        assert msgspec.json.decode(fact.picks, type=tuple[Pick, ...]) == PICKS


class TestRegistration:
    """Whatever keymeld would refuse is the player's fault here, so no session is spent on it."""

    def sealed(self, attempt: Attempt, player: Player = ME, **changes: Any) -> SealedRegistration:
        values: dict[str, Any] = {
            "manifest": attempt.manifest,
            "recipients": EnclaveRecipients.from_json(attempt.opened.recipients, attempt.manifest),
            "user_id": player.name,
            "enclave_key_epoch": EPOCH,
            "participant_key": player.key(1),
            "slot_key": slot_key(player.root, player.id),
            "require_signing_approval": True,
        }
        return seal_registration(**{**values, **changes})

    @pytest.mark.parametrize(
        "changes",
        [
            {"require_signing_approval": False},
            {"enclave_key_epoch": EPOCH + 1},
            {"participant_key": ME.key(2)},
            {"participant_key": SecretKey.from_bytes(b"\x31" * 32)},
        ],
    )
    async def test_one_wrong_member(self, opened: Attempt, changes: dict[str, Any]) -> None:
        with pytest.raises(InvalidInput, match="registration") as caught:
            join(opened, self.sealed(opened, **changes))
        assert caught.value.fault is Fault.PLAYER
        assert caught.value.fix

    async def test_anothers_registration(self, opened: Attempt) -> None:
        with pytest.raises(InvalidInput, match="is another entry"):
            join(opened, self.sealed(opened, OTHER))

    async def test_another_ciphertext_than_was_authorized(self, opened: Attempt) -> None:
        right, other = self.sealed(opened), self.sealed(opened)
        mixed = SealedRegistration(right.authorization, other.ciphertext, right.enclave_public_key)
        with pytest.raises(InvalidInput, match="is not the authorized one"):
            join(opened, mixed)

    async def test_a_slot_signature_of_somebody_else(self, opened: Attempt) -> None:
        right = self.sealed(opened)
        stranger = slot_key(OTHER.root, OTHER.id)
        forged = type(right.authorization).sign(right.authorization.context, right.ciphertext, stranger)
        with pytest.raises(CoreError) as caught:
            join(opened, SealedRegistration(forged, right.ciphertext, right.enclave_public_key))
        assert caught.value.fault is Fault.PLAYER


class TestReady:
    def ready(self, attempt: Attempt, sessions: list[str], **how: Any) -> Decision:
        player = how.get("player", ME)
        decide = closing.ready(player.identity.x_only.hex(), ROSTER[0], how.get("number", 1), sessions)
        return decide(how.get("state", b.awaiting_signing(1, ROSTER)), attempt.story.lane)

    async def test_for_exactly_the_sessions_in_force(self, attempt: Attempt) -> None:
        (batch,) = await attempt.batches()
        decision = self.ready(attempt, [batch.session_id])
        assert decision.answer == {"ready": True}
        assert decision.facts[0] == b.ready(ROSTER[0], (batch.session_id,), at=b.WALL)
        (spare,) = (await attempt.spare(batch.session_id)).facts
        assert isinstance(spare, f.SpareOpen)
        for stale in ([batch.session_id], [], [spare.batch.session_id] * 2, [batch.session_id, "x"]):
            with pytest.raises(Conflict, match="are not the open ones"):
                self.ready(attempt, stale)
        assert self.ready(attempt, [spare.batch.session_id]).facts

    async def test_only_of_this_attempt_by_its_owner(self, attempt: Attempt) -> None:
        (batch,) = await attempt.batches()
        with pytest.raises(Conflict, match="batches of this attempt are not open"):
            self.ready(attempt, [batch.session_id], number=2)
        with pytest.raises(Conflict, match="batches of this attempt are not open"):
            self.ready(attempt, [batch.session_id], state=b.awaiting_signing(1, ROSTER[1:]))
        with pytest.raises(Conflict, match="batches of this attempt are not open"):
            self.ready(attempt, [batch.session_id], state=b.funding_ready(1, ROSTER))
        with pytest.raises(InvalidInput, match="is not one of yours"):
            self.ready(attempt, [batch.session_id], player=OTHER)


def test_the_scene_is_of_three_players() -> None:
    assert len(ROSTER) == len(scene.IDS) == 3
