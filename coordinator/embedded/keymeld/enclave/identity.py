"""An enclave's key and epoch, kept in a file that only its owner may read.

The same key serves across restarts, so what was sealed to it stays readable within an epoch. A new key starts a
new epoch, and everything sealed to the old one is lost on purpose.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from coordinator_core.errors import Misuse
from coordinator_core.secp256k1 import SecretKey


class _StoredKey(msgspec.Struct, frozen=True):
    enclave_id: int
    epoch: int
    generated_at: int
    private_key: str


class EnclaveIdentity:
    """The current key pair of one enclave. Epochs start at 1 and only rise."""

    def __init__(self, path: Path, enclave_id: int, now: int, minimum_epoch: int = 1) -> None:
        self._path = path
        self.enclave_id = enclave_id
        stored = self._read()
        if stored is None:
            self._renew(minimum_epoch, now)
        else:
            self.epoch, self.generated_at = stored.epoch, stored.generated_at
            self.key = SecretKey.from_bytes(bytes.fromhex(stored.private_key), "enclave key")

    @property
    def public_key(self) -> bytes:
        """33 bytes."""
        return self.key.public_key

    def rotate(self, now: int) -> None:
        """Forget the key; a fresh one starts the next epoch."""
        retired = self.key
        self._renew(self.epoch + 1, now)
        retired.wipe()

    def _renew(self, epoch: int, now: int) -> None:
        self.key, self.epoch, self.generated_at = SecretKey.generate(), epoch, now
        stored = _StoredKey(self.enclave_id, epoch, now, self.key.reveal().hex())
        temporary = self._path.with_suffix(".new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(stored))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._path)

    def _read(self) -> _StoredKey | None:
        if not self._path.exists():
            return None
        stored = msgspec.json.decode(self._path.read_bytes(), type=_StoredKey)
        if stored.enclave_id != self.enclave_id:
            raise Misuse(f"the key file of enclave {self.enclave_id} belongs to enclave {stored.enclave_id}")
        return stored
