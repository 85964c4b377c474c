"""The oracle's key: nonces derived from it, locking points, attestations, statement signatures.

No nonce is ever stored or served: the store keeps the nonce point and a random salt, the scalar is derived
again when the event is attested. The key file is PEM with the raw 32 bytes, readable by its owner only.
"""

from __future__ import annotations

import base64
import os
import secrets
from pathlib import Path

from msgspec import Struct

from coordinator.embedded.oracle.outcomes import outcome_message, ranking_outcomes
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import (
    N,
    SecretKey,
    generator_mul,
    lift_x,
    point_add,
    point_mul,
    schnorr_sign,
    sha256,
    tagged_hash,
)

NONCE_TAG = b"noaa-oracle/event-nonce/v1"
ATTESTATION_TAG = "DLC/oracle/attestation/v0"
_LABEL = "EC PRIVATE KEY"


class KeyFileError(Exception):
    """The key file cannot be used; the text says why, never what is in it."""


class KeyMismatch(Exception):
    """The key is not the one that announced the event or made the database."""


class Nonce(Struct, frozen=True):
    """What may be kept of an event's nonce: its point (33 bytes) and the salt of its derivation (32)."""

    point: bytes
    salt: bytes


class OracleKey:
    """Signs for one oracle. Attesting two outcomes of one event reveals the key: the store forbids it."""

    def __init__(self, secret: SecretKey) -> None:
        self._secret = secret
        self.public_key = secret.public_key
        self.x_only = secret.x_only

    @classmethod
    def load_or_create(cls, path: Path) -> OracleKey:
        """Read the key file, or make one with mode 0600. Raises KeyFileError."""
        if path.exists():
            return cls(_read_pem(path))
        secret = SecretKey.generate()
        _write_pem(path, secret)
        return cls(secret)

    def new_nonce(self, event_id: bytes, salt: bytes | None = None) -> Nonce:
        """The nonce of an event. `event_id` 16 bytes; `salt` 32 bytes, fresh unless a test fixes it."""
        salt = secrets.token_bytes(32) if salt is None else salt
        return Nonce(self._nonce(event_id, salt).public_key, salt)

    def locking_points(self, nonce_point: bytes, entries: int, places: int) -> list[bytes]:
        """The point of each outcome, 33 bytes: R + e P, both lifted to even y. A second for 20,000."""
        nonce, key = nonce_point[1:], lift_x(self.x_only)
        even_nonce = lift_x(nonce)
        return [
            point_add([even_nonce, point_mul(key, self._challenge(nonce, outcome_message(winners)))])
            for winners in ranking_outcomes(entries, places)
        ]

    def attest(self, event_id: bytes, nonce: Nonce, point: bytes, winners: tuple[int, ...]) -> bytes:
        """The scalar (32 bytes) whose point is `point`. Raises KeyMismatch when the key is another one."""
        secret_nonce = self._nonce(event_id, nonce.salt).with_even_y()
        challenge = self._challenge(nonce.point[1:], outcome_message(winners))
        scalar = secret_nonce.plus(self._secret.with_even_y().multiplied(challenge)).reveal()
        if generator_mul(scalar) != point:
            raise KeyMismatch("the attestation does not open the announced point")
        return scalar

    def sign_statement(self, digest: bytes) -> bytes:
        """BIP340 with no auxiliary randomness: the same statement has one signature."""
        return schnorr_sign(digest, self._secret, bytes(32))

    def _challenge(self, nonce_x: bytes, message: bytes) -> bytes:
        attested = tagged_hash(ATTESTATION_TAG, message)
        value = int.from_bytes(tagged_hash("BIP0340/challenge", nonce_x + self.x_only + attested), "big")
        return (value % N).to_bytes(32, "big")

    def _nonce(self, event_id: bytes, salt: bytes) -> SecretKey:
        for counter in range(256):
            data = NONCE_TAG + self._secret.reveal() + event_id + salt + bytes((counter,))
            value = int.from_bytes(sha256(data), "big") % N
            if value:
                return SecretKey.from_bytes(value.to_bytes(32, "big"))
        raise KeyMismatch("no nonce can be derived")


def _read_pem(path: Path) -> SecretKey:
    lines = path.read_text(encoding="ascii").split("\n")
    if lines[0] != f"-----BEGIN {_LABEL}-----":
        raise KeyFileError(f"{path.name} is not a PEM file with the label {_LABEL}")
    try:
        return SecretKey.from_bytes(base64.b64decode(lines[1], validate=True), "oracle key")
    except (ValueError, IndexError, InvalidInput) as error:
        raise KeyFileError(f"{path.name} does not hold 32 bytes of a key") from error


def _write_pem(path: Path, secret: SecretKey) -> None:
    body = base64.b64encode(secret.reveal()).decode("ascii")
    text = f"-----BEGIN {_LABEL}-----\n{body}\n-----END {_LABEL}-----\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
