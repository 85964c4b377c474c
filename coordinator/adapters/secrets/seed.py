"""The one seed: 32 bytes in a file of its own, sealed with scrypt and AES-256-GCM under the operator's passphrase."""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from coordinator.adapters.secrets.private_file import write_private
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secret import Secret

MAGIC = b"coordinator-seed-1"
SALT_BYTES, NONCE_BYTES = 16, 12
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 15, 8, 1


def load_or_create_seed(path: Path, passphrase: Secret) -> Secret:
    """The seed in `path`; made on first use, mode 0600, on disk before it is used. Raises InvalidInput."""
    if path.exists():
        return _open(path.read_bytes(), passphrase)
    seed = Secret.random(32)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_private(path, _seal(seed, passphrase))
    return seed


def open_seed(path: Path, passphrase: Secret) -> Secret:
    """The seed in `path`, which has to be there. Raises InvalidInput."""
    try:
        return _open(path.read_bytes(), passphrase)
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
        raise InvalidInput("seed file", reason, "restore it from the backup", fault=Fault.COORDINATOR) from error


def _key(passphrase: Secret, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase.reveal())


def _seal(seed: Secret, passphrase: Secret) -> bytes:
    salt, nonce = secrets.token_bytes(SALT_BYTES), secrets.token_bytes(NONCE_BYTES)
    return MAGIC + salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, seed.reveal(), MAGIC)


def _open(data: bytes, passphrase: Secret) -> Secret:
    if not data.startswith(MAGIC):
        raise InvalidInput("seed file", "is not a seed file", "restore it from the backup", fault=Fault.COORDINATOR)
    body = data[len(MAGIC) :]
    salt, nonce, sealed = (
        body[:SALT_BYTES],
        body[SALT_BYTES : SALT_BYTES + NONCE_BYTES],
        body[SALT_BYTES + NONCE_BYTES :],
    )
    try:
        return Secret(AESGCM(_key(passphrase, salt)).decrypt(nonce, sealed, MAGIC))
    except InvalidTag:
        raise InvalidInput(
            "passphrase", "does not open the seed file", "give the one it was made with", fault=Fault.COORDINATOR
        ) from None
