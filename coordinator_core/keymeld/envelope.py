"""The registration envelope: a private key with proof of possession, for one enclave.

Source: keymeld section 3.4.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.keymeld.canonical import (
    canonical_json,
    integers,
    sign_authorization,
    verify_authorization,
)
from coordinator_core.keymeld.derivation import user_auth_key
from coordinator_core.keymeld.ecies import decrypt, encrypt
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.members import Members, decode_json
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.registration import (
    RegistrationAuthorization,
    RegistrationContext,
    SealedRegistration,
)
from coordinator_core.secp256k1 import SecretKey

POSSESSION_DOMAIN: Final = "registration-possession"


class Envelope(Struct, frozen=True):
    """An opened envelope. The key prints `***`."""

    context: RegistrationContext
    private_key: SecretKey
    proof_signature: bytes


def seal_registration(
    *,
    manifest: SignedManifest,
    recipients: EnclaveRecipients,
    user_id: str,
    enclave_key_epoch: int,
    participant_key: SecretKey,
    slot_key: SecretKey,
    require_signing_approval: bool,
) -> SealedRegistration:
    """Seal a key to its assigned enclave and authorize it with the slot credential.

    `enclave_key_epoch` is the epoch served by the gateway. Players pass `require_signing_approval` true,
    the coordinator false. The ciphertext is random: the caller keeps the result and sends the same one
    again after a lost answer. Raises InvalidInput, VerificationFailed when manifest or recipients do not
    name this user and slot key.
    """
    recipients.verify(manifest)
    enclave_key = recipients.key_for(user_id)
    keygen_session_id = manifest.manifest.keygen_session_id
    context = RegistrationContext(
        keygen_session_id=keygen_session_id,
        manifest_hash=manifest.hash,
        user_id=user_id,
        enclave_id=recipients.user_enclave_assignments[user_id],
        enclave_key_epoch=enclave_key_epoch,
        public_key=participant_key.public_key,
        auth_pubkey=user_auth_key(participant_key, keygen_session_id).public_key,
        require_signing_approval=require_signing_approval,
    )
    ciphertext = encrypt(_envelope(context, participant_key), enclave_key)
    authorization = RegistrationAuthorization.sign(context, ciphertext, slot_key)
    authorization.verify(manifest)
    return SealedRegistration(authorization, ciphertext, enclave_key)


def open_registration(ciphertext: bytes, enclave_key: SecretKey, context: RegistrationContext) -> Envelope:
    """Open an envelope as its enclave does and check it against the authorized context.

    Raises InvalidInput, VerificationFailed, InvalidSignature, all the participant's fault.
    """
    plaintext = decrypt(ciphertext, enclave_key)
    members = Members(decode_json(plaintext, "envelope"), "envelope", ("context", "private_key", "proof_signature"))
    sealed = RegistrationContext.from_value(members.raw("context"), members.path("context"))
    key = SecretKey.from_bytes(members.octets("private_key", 32), members.path("private_key"))
    proof = members.octets("proof_signature", 64)
    if sealed != context:
        raise VerificationFailed("envelope.context", "is not the authorized one", fault=Fault.PLAYER)
    if key.public_key != context.public_key:
        raise VerificationFailed("envelope.private_key", "is not of the public key", fault=Fault.PLAYER)
    if user_auth_key(key, context.keygen_session_id).public_key != context.auth_pubkey:
        raise VerificationFailed("envelope.context", "names another auth key", fault=Fault.PLAYER)
    verify_authorization(POSSESSION_DOMAIN, context.payload(), proof, key.public_key, fault=Fault.PLAYER)
    return Envelope(sealed, key, proof)


def _envelope(context: RegistrationContext, participant_key: SecretKey) -> bytes:
    return canonical_json(
        {
            "context": context.payload(),
            "private_key": integers(participant_key.reveal()),
            "proof_signature": integers(sign_authorization(POSSESSION_DOMAIN, context.payload(), participant_key)),
        }
    )
