"""Opening a keygen session: what is checked before a session secret is kept (keymeld section 4.8)."""

from __future__ import annotations

from coordinator.embedded.keymeld.authorization.tweak import decode_tweak
from coordinator.embedded.keymeld.crypto import ecies
from coordinator.embedded.keymeld.crypto.derivations import session_auth_key
from coordinator.embedded.keymeld.crypto.encrypted_data import TAPROOT_TWEAK, SessionCipher
from coordinator.embedded.keymeld.enclave.commands import InitKeygen
from coordinator.embedded.keymeld.enclave.identity import EnclaveIdentity
from coordinator.embedded.keymeld.enclave.session import KeygenSession
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret


def open_session(command: InitKeygen, identity: EnclaveIdentity) -> KeygenSession:
    """A verified session with its secret. Raises InvalidInput or InvalidSignature."""
    command.manifest.verify()
    command.recipients.verify(command.manifest)
    _check_recipient(command, identity)
    _check_command(command)
    secret = _session_secret(command, identity)
    cipher = SessionCipher(secret)
    tweak_json = cipher.decrypt(command.encrypted_taproot_tweak, TAPROOT_TWEAK, "encrypted_taproot_tweak")
    tweak = decode_tweak(tweak_json, "encrypted_taproot_tweak")
    return KeygenSession(command.manifest, command.recipients, secret, cipher, tweak)


def _check_recipient(command: InitKeygen, identity: EnclaveIdentity) -> None:
    if command.recipients.recipient_key(identity.enclave_id) != identity.public_key:
        raise InvalidInput("recipient_public_keys", "do not hold this enclave's key", "fetch its current key")
    listed = {enclave: bytes(key).hex() for enclave, key in command.recipients.recipient_public_keys.items()}
    if command.enclave_public_keys != listed:
        raise InvalidInput("enclave_public_keys", "are not the recipients", "the keys that the creator signed")
    coordinator = command.manifest.manifest.coordinator_user_id
    serves = command.recipients.user_enclave_assignments[coordinator] == identity.enclave_id
    if command.coordinator_user_id != (coordinator if serves else None):
        raise InvalidInput("coordinator_user_id", "is misplaced", "only for the coordinator's own enclave")


def _check_command(command: InitKeygen) -> None:
    manifest = command.manifest.manifest
    expected = command.expected_participants
    if len(expected) != len(manifest.participant_verifiers) or set(expected) != set(manifest.participant_verifiers):
        raise InvalidInput("expected_participants", "are not the manifest's", "the users of the manifest")
    if command.timeout_secs != manifest.timeout_secs:
        raise InvalidInput("timeout_secs", "differs from the manifest", "the manifest's timeout")
    if command.encrypted_taproot_tweak != manifest.encrypted_taproot_tweak:
        raise InvalidInput("encrypted_taproot_tweak", "differs from the manifest", "the manifest's ciphertext")
    if command.subset_definitions != manifest.subset_definitions:
        raise InvalidInput("subset_definitions", "differ from the manifest", "the manifest's subsets")


def _session_secret(command: InitKeygen, identity: EnclaveIdentity) -> Secret:
    field = "encrypted_session_secret"
    secret = Secret(ecies.decrypt(decode_hex(command.encrypted_session_secret, field), identity.key, field))
    if len(secret.reveal()) != 32:
        raise InvalidInput(field, "is not 32 bytes", "encrypt the raw session secret")
    auth_key = session_auth_key(secret.reveal())
    try:
        if auth_key.public_key != command.manifest.manifest.session_key:
            raise InvalidInput(field, "is not the secret of the session key", "the manifest's session_public_key")
    finally:
        auth_key.wipe()
    return secret


def decode_hex(text: str, field: str) -> bytes:
    """Bytes of lowercase hex. Raises InvalidInput."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if not data or data.hex() != text:
        raise InvalidInput(field, "is not lowercase hexadecimal", "give hex of at least one byte")
    return data
