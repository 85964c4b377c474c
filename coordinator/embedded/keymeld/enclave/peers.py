"""Registrations that one enclave tells another: sealed to the receiver, signed by the sender's enclave key.

The format between enclaves is invisible to clients and is this service's own.
"""

from __future__ import annotations

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import (
    EnclaveId,
    Octets64,
    Uuid,
    authorization_digest,
    check_signature,
)
from coordinator.embedded.keymeld.authorization.registration import RegistrationAuthorization
from coordinator.embedded.keymeld.crypto import ecies
from coordinator.embedded.keymeld.enclave.identity import EnclaveIdentity
from coordinator.embedded.keymeld.enclave.opening import decode_hex
from coordinator.embedded.keymeld.enclave.session import KeygenSession
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import ecdsa_sign

_DOMAIN = "embedded-enclave-peers"
_FIELD = "encrypted_peers"


class _PeerMessage(msgspec.Struct, frozen=True):
    keygen_session_id: Uuid
    sender: EnclaveId
    receiver: EnclaveId
    registrations: list[RegistrationAuthorization]


class _SignedPeerMessage(msgspec.Struct, frozen=True):
    message: _PeerMessage
    signature: Octets64


def seal_own_registrations(session: KeygenSession, identity: EnclaveIdentity) -> dict[int, str]:
    """This enclave's registrations, sealed to each other enclave of the session: {enclave id: ECIES hex}."""
    own = [session.registrations[user] for user in session.secret_keys]
    sealed: dict[int, str] = {}
    for receiver in session.recipients.recipient_public_keys:
        if receiver == identity.enclave_id:
            continue
        message = _PeerMessage(session.session_id, identity.enclave_id, receiver, own)
        signature = ecdsa_sign(authorization_digest(_DOMAIN, message), identity.key)
        plaintext = msgspec.json.encode(_SignedPeerMessage(message, list(signature)))
        sealed[receiver] = ecies.encrypt(plaintext, session.recipients.recipient_key(receiver))
    return sealed


def add_peer_registrations(session: KeygenSession, identity: EnclaveIdentity, encrypted: str) -> None:
    """Verify what another enclave told and record it. Raises InvalidInput or InvalidSignature."""
    signed = _decode(ecies.decrypt(decode_hex(encrypted, _FIELD), identity.key, _FIELD))
    message = signed.message
    if message.keygen_session_id != session.session_id or message.receiver != identity.enclave_id:
        raise InvalidInput(_FIELD, "are for another session or enclave", "send what was sealed for this one")
    digest = authorization_digest(_DOMAIN, message)
    sender_key = session.recipients.recipient_key(message.sender)
    check_signature("peer enclave signature", signed.signature, digest, sender_key)
    for registration in message.registrations:
        registration.verify(session.signed_manifest)
        assigned = session.enclave_of(registration.context.user_id)
        if not assigned == registration.context.enclave_id == message.sender:
            raise InvalidInput(_FIELD, "hold a user of another enclave", "each enclave tells its own users")
        session.add(registration)


def _decode(plaintext: bytes) -> _SignedPeerMessage:
    try:
        return msgspec.json.decode(plaintext, type=_SignedPeerMessage)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(_FIELD, f"do not decode: {error}", "send what the other enclave sealed") from None
