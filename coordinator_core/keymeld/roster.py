"""The participant roster: what the coordinator's enclave signs about a completed keygen, recomputed by every client.

Source: keymeld section 3.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.keymeld.canonical import canonical_json, integers, verify_authorization
from coordinator_core.keymeld.encrypted_data import Context, decrypt_field
from coordinator_core.keymeld.manifest import MAX_SUBSETS, SignedManifest, Subset, read_subsets
from coordinator_core.keymeld.members import Members, decode_json, read_point
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import RegistrationAuthorization
from coordinator_core.keymeld.tweak import NO_TWEAK, require_encrypted_no_tweak, require_no_tweak
from coordinator_core.musig2 import KeySet
from coordinator_core.secret import Secret

ROSTER_DOMAIN: Final = "participant-roster"

_MEMBERS = (
    "keygen_session_id",
    "manifest_hash",
    "participants",
    "registrations",
    "aggregate_public_key",
    "subset_aggregate_keys",
    "subset_definitions",
    "taproot_tweak",
)


class ParticipantRoster(Struct, frozen=True):
    """Public keys, registrations and aggregates of a session. Its tweak is always "none"."""

    keygen_session_id: str
    manifest_hash: bytes
    participants: Mapping[str, bytes]
    registrations: Mapping[str, RegistrationAuthorization]
    aggregate_public_key: bytes
    subset_aggregate_keys: Mapping[str, bytes]
    subset_definitions: tuple[Subset, ...]

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order."""
        return {
            "keygen_session_id": self.keygen_session_id,
            "manifest_hash": integers(self.manifest_hash),
            "participants": _by_id(self.participants),
            "registrations": {user: self.registrations[user].payload() for user in sorted(self.registrations)},
            "aggregate_public_key": integers(self.aggregate_public_key),
            "subset_aggregate_keys": _by_id(self.subset_aggregate_keys),
            "subset_definitions": [subset.payload() for subset in self.subset_definitions],
            "taproot_tweak": NO_TWEAK,
        }


class SignedRoster(Struct, frozen=True):
    """A roster with the signature of the coordinator's enclave; nothing is verified yet."""

    roster: ParticipantRoster
    signature: bytes
    enclave_public_key: bytes

    @classmethod
    def from_json(cls, text: str | bytes) -> SignedRoster:
        """Read one. Raises InvalidInput, and Refused for a tweak."""
        value = decode_json(text, "signed roster")
        members = Members(value, "signed roster", ("roster", "signature", "enclave_public_key"))
        return cls(
            _read_roster(members.raw("roster")),
            members.octets("signature", 64),
            members.point("enclave_public_key"),
        )

    def to_json(self) -> str:
        """The form the enclave delivers; from_json gives an equal value."""
        return canonical_json(
            {
                "roster": self.roster.payload(),
                "signature": integers(self.signature),
                "enclave_public_key": integers(self.enclave_public_key),
            }
        ).decode()


class RosterExpectation(Struct, frozen=True):
    """What a client knows before it opens a roster.

    `participants` are the public keys that it expects: of each player the entry key of this attempt from its
    signed entry, of the coordinator the market maker key. `own` is the registration the client sent itself.
    """

    manifest: SignedManifest
    recipients: EnclaveRecipients
    participants: Mapping[str, bytes]
    own: RegistrationAuthorization | None = None


class VerifiedRoster(Struct, frozen=True):
    """A roster that passed every check, with the key sets that sign."""

    signed: SignedRoster
    key_set: KeySet
    subset_key_sets: Mapping[str, KeySet]

    def key_set_of(self, subset_id: str | None) -> KeySet:
        """The key set of a named subset, or of everyone. Raises InvalidInput for an unknown subset."""
        if subset_id is None:
            return self.key_set
        if subset_id not in self.subset_key_sets:
            raise InvalidInput("subset_id", f"{subset_id} is not defined in the manifest")
        return self.subset_key_sets[subset_id]

    def subset_ids(self) -> dict[KeySet, str | None]:
        """The name under which each key set signs: a subset's id, None for everyone."""
        named: dict[KeySet, str | None] = {key_set: name for name, key_set in self.subset_key_sets.items()}
        named[self.key_set] = None
        return named


def verify_roster(signed: SignedRoster, expectation: RosterExpectation) -> VerifiedRoster:
    """Every rule of section 3.8 that needs no session secret.

    Raises VerificationFailed, InvalidSignature, Refused.
    """
    roster, manifest = signed.roster, expectation.manifest.manifest
    enclave_key = expectation.recipients.key_for(manifest.coordinator_user_id)
    _require(signed.enclave_public_key == enclave_key, "enclave_public_key", "is not the pinned key")
    verify_authorization(ROSTER_DOMAIN, roster.payload(), signed.signature, enclave_key, fault=Fault.SIGNER)
    _require(roster.keygen_session_id == manifest.keygen_session_id, "keygen_session_id", "is another session")
    _require(roster.manifest_hash == expectation.manifest.hash, "manifest_hash", "is another manifest")
    _require(roster.subset_definitions == manifest.subset_definitions, "subset_definitions", "are not the manifest's")
    _verify_participants(roster, expectation)
    return _verify_aggregates(signed)


def open_roster(
    session_secret: Secret,
    expectation: RosterExpectation,
    *,
    encrypted_roster: object,
    encrypted_aggregate: object,
    encrypted_subset_aggregates: Mapping[str, object],
) -> VerifiedRoster:
    """Decrypt the answer of a completed keygen and verify it: the roster, and the status fields beside it.

    Raises InvalidInput, Refused, VerificationFailed, InvalidSignature.
    """
    tweak = expectation.manifest.manifest.encrypted_taproot_tweak
    require_encrypted_no_tweak(session_secret, Context.TAPROOT_TWEAK, tweak, "manifest.encrypted_taproot_tweak")
    plaintext = decrypt_field(session_secret, Context.ROSTER, encrypted_roster, "encrypted_roster")
    verified = verify_roster(SignedRoster.from_json(plaintext), expectation)
    aggregate = decrypt_field(session_secret, Context.AGGREGATE_PUBLIC_KEY, encrypted_aggregate, "aggregate_public_key")
    _require(aggregate == verified.key_set.public_key, "aggregate_public_key", "differs from the status")
    subsets = {
        subset_id: decrypt_field(
            session_secret, Context.SUBSET_AGGREGATE_PUBLIC_KEY, text, f"encrypted_subset_aggregates.{subset_id}"
        )
        for subset_id, text in encrypted_subset_aggregates.items()
    }
    expected = {subset_id: key_set.public_key for subset_id, key_set in verified.subset_key_sets.items()}
    _require(subsets == expected, "subset_aggregate_keys", "differ from the status")
    return verified


def _verify_participants(roster: ParticipantRoster, expectation: RosterExpectation) -> None:
    users = set(expectation.manifest.manifest.users)
    _require(set(roster.participants) == users, "participants", "are not the manifest's")
    _require(set(roster.registrations) == users, "registrations", "are not the manifest's")
    for user, registration in roster.registrations.items():
        field = f"registrations.{user}"
        registration.verify(expectation.manifest)
        context = registration.context
        _require(context.user_id == user, field, "is of another participant")
        _require(context.public_key == roster.participants[user], field, "is for another key")
        enclave = expectation.recipients.user_enclave_assignments[user]
        _require(context.enclave_id == enclave, field, "is for another enclave")
        player = user != expectation.manifest.manifest.coordinator_user_id
        _require(context.require_signing_approval == player, field, "has the wrong approval flag")
    if dict(roster.participants) != dict(expectation.participants):
        raise VerificationFailed(
            "roster.participants", "are not the keys of the signed entries", fault=Fault.COORDINATOR
        )
    own = expectation.own
    if own is not None and roster.registrations.get(own.context.user_id) != own:
        raise VerificationFailed("roster.registrations", "do not hold our own", fault=Fault.SIGNER)


def _verify_aggregates(signed: SignedRoster) -> VerifiedRoster:
    roster = signed.roster
    key_set = KeySet.aggregate(list(roster.participants.values()), refuse_duplicates=True)
    _require(roster.aggregate_public_key == key_set.public_key, "aggregate_public_key", "is not KeyAgg's")
    subsets = {
        subset.subset_id: KeySet.aggregate([roster.participants[user] for user in subset.participants])
        for subset in roster.subset_definitions
    }
    aggregates = {subset_id: subset.public_key for subset_id, subset in subsets.items()}
    _require(dict(roster.subset_aggregate_keys) == aggregates, "subset_aggregate_keys", "are not KeyAgg's")
    return VerifiedRoster(signed, key_set, subsets)


def _read_roster(value: object) -> ParticipantRoster:
    members = Members(value, "roster", _MEMBERS)
    require_no_tweak(members.raw("taproot_tweak"), members.path("taproot_tweak"))
    return ParticipantRoster(
        keygen_session_id=members.uuid("keygen_session_id"),
        manifest_hash=members.octets("manifest_hash", 32),
        participants=members.by_uuid("participants", read_point),
        registrations=members.by_uuid("registrations", RegistrationAuthorization.from_value),
        aggregate_public_key=members.point("aggregate_public_key"),
        subset_aggregate_keys=members.by_uuid("subset_aggregate_keys", read_point, MAX_SUBSETS),
        subset_definitions=read_subsets(members.raw("subset_definitions"), members.path("subset_definitions")),
    )


def _by_id(keys: Mapping[str, bytes]) -> dict[str, list[int]]:
    return {name: integers(keys[name]) for name in sorted(keys)}


def _require(condition: bool, field: str, reason: str) -> None:
    if not condition:
        raise VerificationFailed(f"roster.{field}", reason, fault=Fault.SIGNER)
