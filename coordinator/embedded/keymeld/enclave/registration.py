"""Opening a participant's envelope and checking what it proves (keymeld sections 3.4 and 4.8)."""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import check_signature
from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest
from coordinator.embedded.keymeld.authorization.registration import (
    RegistrationContext,
    RegistrationEnvelope,
    possession_digest,
)
from coordinator.embedded.keymeld.crypto import ecies
from coordinator.embedded.keymeld.crypto.derivations import user_auth_key
from coordinator.embedded.keymeld.enclave.commands import SealedRegistration
from coordinator.embedded.keymeld.enclave.identity import EnclaveIdentity
from coordinator.embedded.keymeld.enclave.opening import decode_hex
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import SecretKey

_FIELD = "encrypted_private_key"


def open_registration(
    sealed: SealedRegistration, manifest: SignedSessionManifest, identity: EnclaveIdentity
) -> SecretKey:
    """The participant's key, once every check has passed. Raises InvalidInput or InvalidSignature."""
    ciphertext = decode_hex(sealed.encrypted_private_key, _FIELD)
    context = sealed.authorization.context
    _check_addressee(context, identity)
    sealed.authorization.verify(manifest, ciphertext)
    envelope = _decode(ecies.decrypt(ciphertext, identity.key, _FIELD))
    envelope.check_plain()
    if envelope.context != context:
        raise InvalidInput("envelope.context", "is not the authorized context", "seal the context that is signed")
    secret_key = SecretKey.from_bytes(bytes(envelope.private_key), "envelope.private_key")
    try:
        _check_keys(envelope, secret_key)
    except Exception:
        secret_key.wipe()
        raise
    return secret_key


def _check_addressee(context: RegistrationContext, identity: EnclaveIdentity) -> None:
    if context.enclave_id != identity.enclave_id:
        raise InvalidInput("context.enclave_id", "is another enclave", "seal to the assigned enclave")
    if context.enclave_key_epoch != identity.epoch:
        reason = f"epoch {context.enclave_key_epoch}, but current epoch is {identity.epoch}"
        raise InvalidInput("context.enclave_key_epoch", reason, "fetch the enclave's current key")


def _decode(plaintext: bytes) -> RegistrationEnvelope:
    try:
        return msgspec.json.decode(plaintext, type=RegistrationEnvelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        # The decoder's text could quote the plaintext, which holds a private key.
        raise InvalidInput(_FIELD, "does not hold a registration envelope", "seal its JSON") from None


def _check_keys(envelope: RegistrationEnvelope, secret_key: SecretKey) -> None:
    context = envelope.context
    if secret_key.public_key != bytes(context.public_key):
        raise InvalidInput("context.public_key", "is not the key of the private key", "derive it")
    auth_key = user_auth_key(bytes(envelope.private_key), context.keygen_session_id)
    if auth_key.public_key != bytes(context.auth_pubkey):
        raise InvalidInput("context.auth_pubkey", "is not derived from the private key", "derive it")
    check_signature("proof of possession", envelope.proof_signature, possession_digest(context), secret_key.public_key)
