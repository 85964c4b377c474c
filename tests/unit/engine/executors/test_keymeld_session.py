"""Keygen: a session opened with pinned values, keys handed over, a roster that is recomputed before it counts."""

from __future__ import annotations

from typing import Any

import pytest

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.engine.duty import Again, Done
from coordinator.engine.executors import keymeld_session
from coordinator.ports import keymeld as km
from coordinator.ports.faults import Unreachable
from coordinator_core.competition.player_keys import slot_key
from coordinator_core.errors import Fault, InvalidInput, Misuse, VerificationFailed
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.keymeld.roster import SignedRoster
from coordinator_core.nostr import nip44
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.attempt import ROSTER, Attempt, altered
from tests.support.keymeld_book import EPOCH, BookKeymeld, refusal
from tests.support.ports import MemorySecrets
from tests.support.scene import PLAYERS

STRANGER = SecretKey.from_bytes(b"\x77" * 32)
ENDED = [km.SessionGone, km.SessionFailed, km.EnclaveChanged]


def fault(reason: str = "no") -> Done:
    return Done([f.AttemptFault(attempt=1, reason=reason)])


class TestOpenSession:
    async def test_a_session_of_every_player_and_our_own_key(self, attempt: Attempt, book: BookKeymeld) -> None:
        await attempt.open()
        opened, terms = attempt.opened, attempt.manifest.manifest
        assert set(terms.users) == {opened.user_id, *ROSTER}
        assert opened.roster == ROSTER
        assert opened.epochs == ((1, EPOCH), (7, EPOCH))
        assert opened.opened_at == b.WALL
        own = SealedRegistration.from_json(opened.registration)
        assert own.authorization.context.public_key == MemorySecrets().market_maker_key(b.LANE).public_key
        assert own.authorization.context.require_signing_approval is False
        assert book.sessions[opened.session_id].registered == {opened.user_id: own}

    async def test_slots_are_the_ones_of_the_signed_entries(self, attempt: Attempt) -> None:
        await attempt.open()
        verifiers = attempt.manifest.manifest.participant_verifiers
        entries = {player.name: player.entry(attempt.story.terms).slot_key for player in PLAYERS}
        assert {user: verifiers[user] for user in ROSTER} == entries

    @pytest.mark.parametrize("call", ["initialize", "register"])
    async def test_a_lost_answer_is_asked_again_with_the_same_bytes(
        self, attempt: Attempt, book: BookKeymeld, call: str
    ) -> None:
        book.lost = {call}
        with pytest.raises(Unreachable):
            await attempt.open()
        (session_id,) = book.sessions
        manifest = book.sessions[session_id].manifest
        assert isinstance(await attempt.open(), Done)
        assert list(book.sessions) == [session_id]
        assert attempt.manifest == manifest
        assert book.made("reserve") == book.made("enclaves") == 1

    async def test_a_reservation_whose_answer_was_lost_ends_the_attempt(
        self, attempt: Attempt, book: BookKeymeld
    ) -> None:
        book.lost = {"reserve"}
        with pytest.raises(Unreachable):
            await attempt.open()
        assert await attempt.open() == fault("409 already exists")
        assert len(book.sessions) == 1

    async def test_a_repeat_is_the_same_session(self, attempt: Attempt, book: BookKeymeld) -> None:
        first = await attempt.open()
        assert await attempt.open() == first
        assert book.made("reserve") == 1

    async def test_every_attempt_has_credentials_of_its_own(self, attempt: Attempt, book: BookKeymeld) -> None:
        await attempt.open()
        second = Attempt(attempt.services, book, number=2)
        await second.open()
        first, other = attempt.manifest.manifest, second.manifest.manifest
        assert first.session_public_key != other.session_public_key
        assert first.creator_pubkey != other.creator_pubkey
        assert first.keygen_session_id != other.keygen_session_id
        assert first.coordinator_user_id == other.coordinator_user_id

    @pytest.mark.parametrize("kind", [*ENDED, km.SessionTaken, km.SlotTaken])
    @pytest.mark.parametrize("call", ["reserve", "initialize", "register"])
    async def test_what_keymeld_ends_is_its_fault(
        self, attempt: Attempt, book: BookKeymeld, call: str, kind: type[Any]
    ) -> None:
        book.refusals = {call: refusal(kind)}
        assert await attempt.open() == fault()

    async def test_credentials_are_kept_before_the_first_call(self, attempt: Attempt, book: BookKeymeld) -> None:
        book.refusals = {"enclaves": Unreachable("keymeld", "down", fault=Fault.SIGNER)}
        with pytest.raises(Unreachable):
            await attempt.open()
        assert await attempt.services.secrets.get(b.LANE, "keymeld/1") is not None


class TestRegister:
    async def test_a_sealed_key_is_handed_over_once_however_often(self, attempt: Attempt, book: BookKeymeld) -> None:
        await attempt.open()
        attempt.story.put(attempt.seal(PLAYERS[0]))
        book.lost = {"register"}
        with pytest.raises(Unreachable):
            await attempt.register(PLAYERS[0])
        done = await attempt.register(PLAYERS[0])
        attended = f.Attended(player=PLAYERS[0].identity.x_only.hex(), at=UnixTime(b.WALL))
        assert done == Done([f.Registered(attempt=1, entry_id=ROSTER[0]), attended])
        assert set(book.sessions[attempt.opened.session_id].registered) == {attempt.opened.user_id, ROSTER[0]}

    async def test_an_envelope_that_does_not_open_is_the_players_fault(
        self, attempt: Attempt, book: BookKeymeld
    ) -> None:
        """Authorized and well formed; only the enclave can see that the key inside is another."""
        await attempt.open()
        right, other = attempt.registration(PLAYERS[0]), attempt.registration(PLAYERS[1])
        authorization = type(right.authorization).sign(
            right.authorization.context, other.ciphertext, slot_key(PLAYERS[0].root, PLAYERS[0].id)
        )
        forged = SealedRegistration(authorization, other.ciphertext, right.enclave_public_key)
        attempt.story.put(attempt.seal(PLAYERS[0], forged))
        (refused,) = (await attempt.register(PLAYERS[0])).facts
        assert isinstance(refused, f.Registered)
        assert refused.refusal is not None

    @pytest.mark.parametrize("kind", [*ENDED, km.SlotTaken])
    async def test_a_session_that_is_over_blames_nobody(
        self, attempt: Attempt, book: BookKeymeld, kind: type[Any]
    ) -> None:
        await attempt.open()
        attempt.story.put(attempt.seal(PLAYERS[0]))
        book.refusals = {"register": refusal(kind)}
        assert await attempt.register(PLAYERS[0]) == fault()

    async def test_nothing_is_handed_over_that_was_not_sealed(self, attempt: Attempt, book: BookKeymeld) -> None:
        await attempt.open()
        calls = book.made("register")
        with pytest.raises(Misuse, match="has not sealed"):
            await attempt.register(PLAYERS[0])
        assert book.made("register") == calls

    async def test_the_key_of_another_attempt_is_refused_before_it_leaves(self, attempt: Attempt) -> None:
        await attempt.open()
        stale = attempt.registration(PLAYERS[0], PLAYERS[0].key(2))
        with pytest.raises(InvalidInput, match="is not this attempt's entry key") as caught:
            keymeld_session.sealed_registration(attempt.story.lane, attempt.seal(PLAYERS[0], stale))
        assert caught.value.fault is Fault.PLAYER

    def test_no_session_is_a_misuse(self) -> None:
        with pytest.raises(Misuse, match="has no session"):
            keymeld_session.session_open(b.Story().lane, 1)


class TestRoster:
    async def test_waits_until_every_key_is_there(self, attempt: Attempt) -> None:
        await attempt.open()
        attempt.story.put(*(attempt.seal(player) for player in PLAYERS))
        for player in PLAYERS[:2]:
            await attempt.register(player)
        assert isinstance(await attempt.run(d.AwaitRoster(attempt=1, roster=ROSTER)), Again)
        await attempt.register(PLAYERS[2])
        assert isinstance(await attempt.run(d.AwaitRoster(attempt=1, roster=ROSTER)), Done)

    async def test_holds_the_keys_of_the_entries_and_ours(self, attempt: Attempt) -> None:
        await attempt.keygen()
        keygen = attempt.story.lane.facts.get(f.Keygen, 1)
        assert keygen is not None
        roster = SignedRoster.from_json(keygen.roster).roster
        keys = {player.name: player.key(1).public_key for player in PLAYERS}
        keys[attempt.opened.user_id] = MemorySecrets().market_maker_key(b.LANE).public_key
        assert dict(roster.participants) == keys

    async def test_each_player_alone_can_open_the_session_secret(self, attempt: Attempt) -> None:
        (keygen,) = (await attempt.keygen()).facts
        assert isinstance(keygen, f.Keygen)
        shared = dict(keygen.encrypted_session_secrets)
        assert set(shared) == set(ROSTER)
        held = await keymeld_session.credentials(attempt.services, b.LANE, 1)
        ours = attempt.services.secrets.signing_key("nostr").x_only
        for player in PLAYERS:
            key = nip44.conversation_key(player.identity, ours)
            assert nip44.decrypt(shared[player.name], key) == held.session_secret.reveal().hex()
        other = nip44.conversation_key(PLAYERS[1].identity, ours)
        with pytest.raises(VerificationFailed):
            nip44.decrypt(shared[ROSTER[0]], other)

    @pytest.mark.parametrize("member", ["participants", "aggregate_public_key", "subset_aggregate_keys"])
    async def test_a_roster_that_was_tampered_with_counts_for_nothing(
        self, attempt: Attempt, book: BookKeymeld, member: str
    ) -> None:
        """Signed by the enclave itself: only what is recomputed shows it."""

        def alter(roster: Any) -> Any:
            wrong: dict[str, Any] = {
                "participants": {**roster.participants, ROSTER[0]: STRANGER.public_key},
                "aggregate_public_key": STRANGER.public_key,
                "subset_aggregate_keys": dict.fromkeys(roster.subset_aggregate_keys, STRANGER.public_key),
            }
            return altered(roster, **{member: wrong[member]})

        book.alter = alter
        with pytest.raises(VerificationFailed):
            await attempt.keygen()
        assert attempt.story.lane.facts.get(f.Keygen, 1) is None

    @pytest.mark.parametrize("kind", ENDED)
    async def test_a_session_that_is_over_ends_the_attempt(
        self, attempt: Attempt, book: BookKeymeld, kind: type[Any]
    ) -> None:
        book.refusals = {"roster": refusal(kind)}
        assert await attempt.keygen() == fault()
