"""The session manifest: who takes part, which subsets sign, how often; signed by its creator.

Source: keymeld section 3.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.keymeld.canonical import (
    authorization_digest,
    canonical_json,
    integers,
    sign_authorization,
    verify_authorization,
)
from coordinator_core.keymeld.members import (
    MAX_PARTICIPANTS,
    Members,
    as_array,
    as_object,
    as_uuid,
    decode_json,
    read_point,
)
from coordinator_core.secp256k1 import SecretKey, parse_point
from coordinator_core.units import Seconds

MAX_SUBSETS: Final = 200
MAX_TIMEOUT: Final = Seconds(86_400)
MANIFEST_DOMAIN: Final = "session-manifest"
MANIFEST_HASH_DOMAIN: Final = "signed-session-manifest"

_MEMBERS = (
    "keygen_session_id",
    "coordinator_user_id",
    "creator_pubkey",
    "signing_pubkey",
    "session_public_key",
    "participant_verifiers",
    "timeout_secs",
    "max_signing_sessions",
    "encrypted_taproot_tweak",
    "subset_definitions",
)


class Subset(Struct, frozen=True):
    """A named group of participants that signs together. `participants` keeps its order: it is signed."""

    subset_id: str
    participants: tuple[str, ...]

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order."""
        return {"subset_id": self.subset_id, "participants": list(self.participants)}


class SessionManifest(Struct, frozen=True):
    """What a session may be used for. Checked as a whole by `check`; keys are compressed points."""

    keygen_session_id: str
    coordinator_user_id: str
    creator_pubkey: bytes
    signing_pubkey: bytes
    session_public_key: bytes
    participant_verifiers: Mapping[str, bytes]
    """User id → slot credential's public key, the coordinator's included."""
    timeout_secs: Seconds
    max_signing_sessions: int | None
    encrypted_taproot_tweak: str
    subset_definitions: tuple[Subset, ...]

    @property
    def users(self) -> tuple[str, ...]:
        """All user ids, ascending."""
        return tuple(sorted(self.participant_verifiers))

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order."""
        return {
            "keygen_session_id": self.keygen_session_id,
            "coordinator_user_id": self.coordinator_user_id,
            "creator_pubkey": integers(self.creator_pubkey),
            "signing_pubkey": integers(self.signing_pubkey),
            "session_public_key": integers(self.session_public_key),
            "participant_verifiers": {user: integers(self.participant_verifiers[user]) for user in self.users},
            "timeout_secs": self.timeout_secs,
            "max_signing_sessions": self.max_signing_sessions,
            "encrypted_taproot_tweak": self.encrypted_taproot_tweak,
            "subset_definitions": [subset.payload() for subset in self.subset_definitions],
        }

    def check(self) -> None:
        """The rules of section 3.1. Raises InvalidInput or Refused naming the member."""
        if not 2 <= len(self.participant_verifiers) <= MAX_PARTICIPANTS:
            raise InvalidInput("manifest.participant_verifiers", "needs 2 to 1000 participants")
        if self.coordinator_user_id not in self.participant_verifiers:
            raise InvalidInput("manifest.coordinator_user_id", "is no participant")
        self._check_keys()
        self._check_subsets()

    def _check_keys(self) -> None:
        for user in self.users:
            parse_point(self.participant_verifiers[user], f"manifest.participant_verifiers.{user}")
        creator = parse_point(self.creator_pubkey, "manifest.creator_pubkey")
        signing = parse_point(self.signing_pubkey, "manifest.signing_pubkey")
        session = parse_point(self.session_public_key, "manifest.session_public_key")
        if session in (creator, signing):
            raise Refused("manifest.session_public_key", "equals the creator's or the signing key")
        slots = list(self.participant_verifiers.values())
        if len({*slots, creator, signing, session}) != len(slots) + len({creator, signing, session}):
            raise Refused("manifest.participant_verifiers", "a slot key is used twice or is another role's key")

    def _check_subsets(self) -> None:
        if len(self.subset_definitions) > MAX_SUBSETS:
            raise InvalidInput("manifest.subset_definitions", "are too many", f"at most {MAX_SUBSETS}")
        if len({subset.subset_id for subset in self.subset_definitions}) != len(self.subset_definitions):
            raise InvalidInput("manifest.subset_definitions", "an id is used twice")
        for subset in self.subset_definitions:
            _check_subset(subset, self)


class SignedManifest(Struct, frozen=True):
    """A manifest with its creator's signature, checked and verified when it is made or read."""

    manifest: SessionManifest
    signature: bytes

    @classmethod
    def sign(cls, manifest: SessionManifest, creator_key: SecretKey) -> SignedManifest:
        """Check and sign. Raises InvalidInput, also when the key is not the manifest's creator."""
        manifest.check()
        if creator_key.public_key != manifest.creator_pubkey:
            raise InvalidInput("manifest.creator_pubkey", "is not the public key of the creator key")
        return cls(manifest, sign_authorization(MANIFEST_DOMAIN, manifest.payload(), creator_key))

    @classmethod
    def from_json(cls, text: str | bytes) -> SignedManifest:
        """Read, check and verify one. Raises InvalidInput, Refused, InvalidSignature."""
        return cls.from_value(decode_json(text, "signed manifest"))

    @classmethod
    def from_value(cls, value: object, field: str = "signed manifest") -> SignedManifest:
        """As from_json, from decoded JSON."""
        members = Members(value, field, ("manifest", "signature"))
        manifest = _read_manifest(members.raw("manifest"))
        manifest.check()
        signed = cls(manifest, members.octets("signature", 64))
        verify_authorization(MANIFEST_DOMAIN, manifest.payload(), signed.signature, manifest.creator_pubkey)
        return signed

    @property
    def hash(self) -> bytes:
        """The manifest hash, 32 bytes; it covers the signature too."""
        return authorization_digest(MANIFEST_HASH_DOMAIN, self.payload())

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order."""
        return {"manifest": self.manifest.payload(), "signature": integers(self.signature)}

    def to_json(self) -> str:
        """The wire form; from_json gives an equal value."""
        return canonical_json(self.payload()).decode()


def define_subsets(subset_ids: Iterable[str], groups: Iterable[Iterable[str]]) -> tuple[Subset, ...]:
    """Name groups of users, each sorted ascending.

    Raises InvalidInput when ids and groups differ in number.
    """
    ids, members = list(subset_ids), [tuple(sorted(group)) for group in groups]
    if len(ids) != len(members):
        raise InvalidInput("subset ids", f"are {len(ids)} for {len(members)} groups")
    return tuple(Subset(as_uuid(name, "subset id"), group) for name, group in zip(ids, members, strict=True))


def read_subsets(value: object, field: str) -> tuple[Subset, ...]:
    """Read subset definitions; order is kept. Raises InvalidInput."""
    subsets: list[Subset] = []
    for index, entry in enumerate(as_array(value, field, MAX_SUBSETS)):
        members = Members(entry, f"{field}[{index}]", ("subset_id", "participants"))
        users = members.array("participants", MAX_PARTICIPANTS)
        path = members.path("participants")
        subsets.append(Subset(members.uuid("subset_id"), tuple(as_uuid(user, path) for user in users)))
    return tuple(subsets)


def _check_subset(subset: Subset, manifest: SessionManifest) -> None:
    field = f"manifest.subset_definitions.{subset.subset_id}"
    members = set(subset.participants)
    if len(subset.participants) < 2 or len(members) != len(subset.participants):
        raise InvalidInput(field, "needs at least two participants, each once")
    if not members <= manifest.participant_verifiers.keys():
        raise InvalidInput(field, "names someone who takes no part")
    if manifest.coordinator_user_id not in members:
        # The gateway finalises from the coordinator's rounds: a subset without it never gives a signature.
        raise Refused(field, "does not hold the coordinator")


def _read_manifest(value: object) -> SessionManifest:
    if "deposit_scope" in as_object(value, "manifest"):
        raise Refused("manifest.deposit_scope", "is not supported", "leave it out")
    members = Members(value, "manifest", _MEMBERS)
    return SessionManifest(
        keygen_session_id=members.uuid("keygen_session_id"),
        coordinator_user_id=members.uuid("coordinator_user_id"),
        creator_pubkey=members.point("creator_pubkey"),
        signing_pubkey=members.point("signing_pubkey"),
        session_public_key=members.point("session_public_key"),
        participant_verifiers=members.by_uuid("participant_verifiers", read_point),
        timeout_secs=Seconds(members.integer("timeout_secs", 1, MAX_TIMEOUT)),
        max_signing_sessions=members.optional_integer("max_signing_sessions", 1),
        encrypted_taproot_tweak=members.hex_text("encrypted_taproot_tweak"),
        subset_definitions=read_subsets(members.raw("subset_definitions"), members.path("subset_definitions")),
    )
