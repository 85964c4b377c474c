"""The inputs of keymeld section 15, and a complete session of three players, made with the library."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coordinator_core.keymeld.access import UserAccess
from coordinator_core.keymeld.canonical import sign_authorization
from coordinator_core.keymeld.credentials import SessionCredentials
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.envelope import seal_registration
from coordinator_core.keymeld.manifest import SessionManifest, SignedManifest
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import SealedRegistration
from coordinator_core.keymeld.roster import (
    ROSTER_DOMAIN,
    ParticipantRoster,
    RosterExpectation,
    SignedRoster,
    VerifiedRoster,
    verify_roster,
)
from coordinator_core.musig2 import KeySet, SigningItem
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secret import Secret
from coordinator_core.units import Seconds

VECTORS = Path(__file__).parents[2] / "vectors" / "keymeld"
KEYGEN = "01890a5d-ac96-774b-bcce-b302099a8057"
SIGNING = "01890a5d-ac96-774b-bcce-b302099a8058"
U1 = "01890a5d-ac96-774b-bcce-b302099a8001"
U2 = "01890a5d-ac96-774b-bcce-b302099a8002"


@pytest.fixture(scope="session")
def generation_a() -> dict[str, Any]:
    return json.loads((VECTORS / "generation_a.json").read_text())


@pytest.fixture(scope="session")
def earlier() -> dict[str, Any]:
    return json.loads((VECTORS / "vectors.json").read_text())


def key(byte: int) -> SecretKey:
    return SecretKey.from_bytes(bytes([byte]) * 32)


@pytest.fixture
def secret() -> Secret:
    return Secret(bytes(range(1, 33)))


@pytest.fixture
def vector_manifest() -> SignedManifest:
    manifest = SessionManifest(
        keygen_session_id=KEYGEN,
        coordinator_user_id=U1,
        creator_pubkey=key(0x41).public_key,
        signing_pubkey=key(0x41).public_key,
        session_public_key=bytes.fromhex("0266f7b5cf86b9c9970c48ac943fbcfea3175502df818bea5919eb683c728fe929"),
        participant_verifiers={U2: key(0x43).public_key, U1: key(0x42).public_key},
        timeout_secs=Seconds(3600),
        max_signing_sessions=None,
        encrypted_taproot_tweak="00",
        subset_definitions=(),
    )
    return SignedManifest.sign(manifest, key(0x41))


@pytest.fixture
def vector_recipients(vector_manifest: SignedManifest) -> EnclaveRecipients:
    enclaves = {1: key(0x22).public_key, 2: key(0x23).public_key}
    return EnclaveRecipients.sign(vector_manifest, {U2: 2, U1: 1}, enclaves, key(0x41))


def uuid(number: int) -> str:
    return f"01890a5d-ac96-774b-bcce-{number:012x}"


@dataclass
class Keygen:
    """A session of one coordinator and three players, one place, whose keygen is complete."""

    credentials: SessionCredentials = field(default_factory=SessionCredentials.generate)
    keygen_session_id: str = uuid(1)
    coordinator: str = uuid(2)
    players: tuple[str, ...] = (uuid(11), uuid(12), uuid(13))
    enclaves: dict[int, SecretKey] = field(default_factory=lambda: {1: key(0x22), 7: key(0x23)})

    def __post_init__(self) -> None:
        users = (self.coordinator, *self.players)
        self.keys = {user: SecretKey.from_bytes(sha256(user.encode())) for user in users}
        self.slots = {user: SecretKey.from_bytes(sha256(b"slot" + user.encode())) for user in self.players}
        self.slot_keys = {user: slot.public_key for user, slot in self.slots.items()}
        self.manifest = self.credentials.sign_manifest(
            keygen_session_id=self.keygen_session_id,
            coordinator_user_id=self.coordinator,
            slot_keys=self.slot_keys,
            places=1,
        )
        assignments = {self.coordinator: 7} | {user: (1, 7)[i % 2] for i, user in enumerate(self.players)}
        public = {enclave: secret.public_key for enclave, secret in self.enclaves.items()}
        self.recipients = EnclaveRecipients.sign(self.manifest, assignments, public, self.credentials.creator_key)
        self.registrations = {user: self.register(user) for user in users}
        self.signed_roster = self.sign_roster(self.roster())

    def register(self, user: str, *, approval: bool | None = None) -> SealedRegistration:
        own = user == self.coordinator
        return seal_registration(
            manifest=self.manifest,
            recipients=self.recipients,
            user_id=user,
            enclave_key_epoch=3,
            participant_key=self.keys[user],
            slot_key=self.credentials.slot_key if own else self.slots[user],
            require_signing_approval=(not own) if approval is None else approval,
        )

    def roster(self, **changes: Any) -> ParticipantRoster:
        participants = {user: secret.public_key for user, secret in self.keys.items()}
        subsets = self.manifest.manifest.subset_definitions
        members: dict[str, Any] = {
            "keygen_session_id": self.keygen_session_id,
            "manifest_hash": self.manifest.hash,
            "participants": participants,
            "registrations": {user: r.authorization for user, r in self.registrations.items()},
            "aggregate_public_key": KeySet.aggregate(list(participants.values())).public_key,
            "subset_aggregate_keys": {
                subset.subset_id: KeySet.aggregate([participants[u] for u in subset.participants]).public_key
                for subset in subsets
            },
            "subset_definitions": subsets,
        }
        return ParticipantRoster(**{**members, **changes})

    def sign_roster(self, roster: ParticipantRoster, enclave: int = 7) -> SignedRoster:
        secret = self.enclaves[enclave]
        signature = sign_authorization(ROSTER_DOMAIN, roster.payload(), secret)
        return SignedRoster(roster, signature, secret.public_key)

    def expectation(self, user: str | None = None) -> RosterExpectation:
        participants = {name: secret.public_key for name, secret in self.keys.items()}
        own = None if user is None else self.registrations[user].authorization
        return RosterExpectation(self.manifest, self.recipients, participants, own)

    def verified(self) -> VerifiedRoster:
        return verify_roster(self.signed_roster, self.expectation())

    def user(self, user: str) -> UserAccess:
        return self.credentials.user(self.keygen_session_id, user, self.keys[user])

    def contract_items(self) -> list[SigningItem]:
        """Items shaped as a contract of three players and one place: 4 outcomes, expiry, 3 + 3 + 3 splits."""
        everyone = self.verified().key_set
        winners = [
            KeySet.aggregate([self.keys[self.coordinator].public_key, self.keys[player].public_key])
            for player in self.players
        ]
        outcomes = [SigningItem(everyone, sha256(b"o%d" % i), key(0x61 + i).public_key) for i in range(4)]
        splits = [SigningItem(winners[i], sha256(b"s%d" % i)) for i in range(3)]
        shared = [SigningItem(everyone, sha256(b"x%d" % i)) for i in range(7)]
        return [*outcomes, *splits, *shared]

    def encrypted_status(self, signed: SignedRoster | None = None) -> dict[str, Any]:
        """The fields of a completed keygen status that `open_roster` reads."""
        secret = self.credentials.session_secret
        roster = signed or self.signed_roster
        return {
            "encrypted_roster": encrypt_field(secret, Context.ROSTER, roster.to_json().encode()),
            "encrypted_aggregate": encrypt_field(
                secret, Context.AGGREGATE_PUBLIC_KEY, roster.roster.aggregate_public_key
            ),
            "encrypted_subset_aggregates": {
                name: encrypt_field(secret, Context.SUBSET_AGGREGATE_PUBLIC_KEY, aggregate)
                for name, aggregate in roster.roster.subset_aggregate_keys.items()
            },
        }


@pytest.fixture
def keygen() -> Keygen:
    return Keygen()
