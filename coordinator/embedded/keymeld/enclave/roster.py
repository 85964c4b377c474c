"""Aggregating the keys and signing the roster, on the coordinator's enclave only (keymeld section 3.8)."""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.roster import ParticipantRoster, SignedParticipantRoster
from coordinator.embedded.keymeld.crypto.encrypted_data import (
    AGGREGATE_PUBLIC_KEY,
    ROSTER,
    SUBSET_AGGREGATE_PUBLIC_KEY,
)
from coordinator.embedded.keymeld.enclave.commands import KeygenResult
from coordinator.embedded.keymeld.enclave.identity import EnclaveIdentity
from coordinator.embedded.keymeld.enclave.session import KeygenSession
from coordinator_core.errors import Refused
from coordinator_core.secp256k1 import ecdsa_sign


def complete(session: KeygenSession, identity: EnclaveIdentity) -> KeygenResult:
    """Aggregates and signed roster under the session secret. Raises InvalidInput while participants are missing."""
    if session.enclave_of(session.coordinator) != identity.enclave_id:
        raise Refused("enclave_id", "is not the coordinator's enclave", "ask the coordinator's enclave")
    session.require_complete()
    aggregate = session.key_set(session.registrations, session.tweak).public_key
    subsets = {
        subset: session.key_set(session.subset_members(subset), session.tweak).public_key
        for subset in session.subset_ids()
    }
    encrypt = session.cipher.encrypt
    return KeygenResult(
        encrypted_aggregate=encrypt(aggregate, AGGREGATE_PUBLIC_KEY),
        encrypted_subset_aggregates={
            subset: encrypt(key, SUBSET_AGGREGATE_PUBLIC_KEY) for subset, key in subsets.items()
        },
        encrypted_roster=encrypt(msgspec.json.encode(_sign(session, identity, aggregate, subsets)), ROSTER),
    )


def _sign(
    session: KeygenSession, identity: EnclaveIdentity, aggregate: bytes, subsets: dict[str, bytes]
) -> SignedParticipantRoster:
    manifest = session.signed_manifest.manifest
    roster = ParticipantRoster(
        keygen_session_id=session.session_id,
        manifest_hash=list(session.signed_manifest.hash()),
        participants={user: r.context.public_key for user, r in session.registrations.items()},
        registrations=session.registrations,
        aggregate_public_key=list(aggregate),
        subset_aggregate_keys={subset: list(key) for subset, key in subsets.items()},
        subset_definitions=manifest.subset_definitions,
        taproot_tweak=session.tweak,
    )
    signature = ecdsa_sign(roster.digest(), identity.key)
    return SignedParticipantRoster(roster, list(signature), list(identity.public_key))
