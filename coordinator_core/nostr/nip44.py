"""Encryption between two keys (NIP-44 version 2)."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from coordinator_core.errors import InvalidInput, VerificationFailed
from coordinator_core.secp256k1 import SecretKey, ecdh_x, lift_x
from coordinator_core.secret import Secret

MIN_PLAINTEXT: Final = 1
MAX_PLAINTEXT: Final = 65_535
"""Bytes of UTF-8."""
_SALT: Final = b"nip44-v2"
_VERSION: Final = 2
_NONCE: Final = 32
_MAC: Final = 32
_MIN_PAYLOAD: Final = 132
_MAX_PAYLOAD: Final = 87_472
_MIN_DATA: Final = 99
_MAX_DATA: Final = 65_603


class Undecryptable(VerificationFailed):
    """A payload that was not made with this conversation key, or was changed, or is of another version."""

    code = "nostr.undecryptable"

    def __init__(self, reason: str) -> None:
        super().__init__("nip44 payload", reason)


@dataclass(frozen=True, slots=True, repr=False)
class MessageKeys:
    """Keys of one message. Holds secrets: never print or store it."""

    chacha_key: bytes
    chacha_nonce: bytes
    hmac_key: bytes


def conversation_key(secret: SecretKey, other: bytes) -> Secret:
    """The key that both sides of a conversation share; `other` is x-only, 32 bytes. Raises InvalidInput."""
    shared = ecdh_x(lift_x(other, field="other key"), secret)
    return Secret(hmac.digest(_SALT, shared, "sha256"))


def encrypt(plaintext: str, key: Secret, nonce: bytes | None = None) -> str:
    """A base64 payload. A nonce is 32 bytes and never used twice; None draws it. Raises InvalidInput."""
    nonce = secrets.token_bytes(_NONCE) if nonce is None else nonce
    if len(nonce) != _NONCE:
        raise InvalidInput("nonce", f"{len(nonce)} bytes", f"{_NONCE} bytes")
    keys = message_keys(key, nonce)
    ciphertext = _chacha20(keys, _pad(_utf8(plaintext)))
    mac = hmac.digest(keys.hmac_key, nonce + ciphertext, sha256)
    return base64.b64encode(bytes([_VERSION]) + nonce + ciphertext + mac).decode()


def decrypt(payload: str, key: Secret) -> str:
    """The plaintext. Raises Undecryptable."""
    data = _decode(payload)
    nonce, ciphertext, mac = data[1 : 1 + _NONCE], data[1 + _NONCE : -_MAC], data[-_MAC:]
    keys = message_keys(key, nonce)
    if not hmac.compare_digest(hmac.digest(keys.hmac_key, nonce + ciphertext, sha256), mac):
        raise Undecryptable("the authentication code does not match")
    return _unpad(_chacha20(keys, ciphertext))


def message_keys(key: Secret, nonce: bytes) -> MessageKeys:
    """The keys of the message with this nonce (32 bytes)."""
    material = HKDFExpand(algorithm=SHA256(), length=76, info=nonce).derive(key.reveal())
    return MessageKeys(material[:32], material[32:44], material[44:])


def padded_length(length: int) -> int:
    """Bytes to which a plaintext of `length` bytes is padded."""
    if length <= 32:
        return 32
    next_power = 1 << (length - 1).bit_length()
    chunk = 32 if next_power <= 256 else next_power // 8
    return chunk * ((length - 1) // chunk + 1)


def _utf8(plaintext: str) -> bytes:
    try:
        data = plaintext.encode()
    except UnicodeEncodeError:
        raise InvalidInput("plaintext", "is not Unicode", "text without lone surrogates") from None
    if not MIN_PLAINTEXT <= len(data) <= MAX_PLAINTEXT:
        raise InvalidInput("plaintext", f"{len(data)} bytes", f"{MIN_PLAINTEXT} to {MAX_PLAINTEXT} bytes of UTF-8")
    return data


def _pad(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data + bytes(padded_length(len(data)) - len(data))


def _unpad(padded: bytes) -> str:
    length = int.from_bytes(padded[:2], "big")
    data = padded[2 : 2 + length]
    if length < MIN_PLAINTEXT or len(data) != length or len(padded) != 2 + padded_length(length):
        raise Undecryptable("the padding is wrong")
    if any(padded[2 + length :]):
        raise Undecryptable("the padding is not zero")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise Undecryptable("the plaintext is not UTF-8") from None


def _decode(payload: str) -> bytes:
    if payload.startswith("#"):
        raise Undecryptable("the version is unknown")
    if not _MIN_PAYLOAD <= len(payload) <= _MAX_PAYLOAD:
        raise Undecryptable(f"{len(payload)} characters are no payload")
    try:
        data = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise Undecryptable("is not base64") from None
    if not _MIN_DATA <= len(data) <= _MAX_DATA:
        raise Undecryptable(f"{len(data)} bytes are no payload")
    if data[0] != _VERSION:
        raise Undecryptable(f"version {data[0]} is unknown")
    return data


def _chacha20(keys: MessageKeys, data: bytes) -> bytes:
    # The library takes the block counter, which starts at zero, as the first four bytes of its nonce.
    return Cipher(ChaCha20(keys.chacha_key, bytes(4) + keys.chacha_nonce), mode=None).encryptor().update(data)
