"""Secrets in the database, sealed under the seed; keys of the coordinator derived from it (HKDF-SHA256)."""

from __future__ import annotations

import secrets
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import select

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.errors import Misuse
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

NONCE_BYTES = 12


class SealedSecrets:
    """See ports.secrets.SecretStore."""

    def __init__(self, store: SqliteStore, seed: Secret) -> None:
        self._store = store
        self._seed = seed
        self._cipher = AESGCM(self._derive("secret-store"))

    async def put(self, lane: str, name: str, value: Secret) -> None:
        """See ports.secrets.SecretStore."""
        sealed = self.seal(lane, name, value)
        async with self._store.write() as tx:
            await tx.put_secret(lane, name, sealed)
        if await self.get(lane, name) != value:
            raise Misuse(f"secret {name} of {lane} was written before with another value")

    def seal(self, lane: str, name: str, value: Secret) -> bytes:
        """See ports.secrets.SecretStore."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, value.reveal(), _context(lane, name))

    async def get(self, lane: str, name: str) -> Secret | None:
        """See ports.secrets.SecretStore."""
        async with self._store.read_connection() as connection:
            query = select(t.secret.c.sealed).where(t.secret.c.lane == lane, t.secret.c.name == name)
            sealed = await connection.scalar(query)
        if sealed is None:
            return None
        return Secret(self._cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _context(lane, name)))

    def market_maker_key(self, lane: str) -> SecretKey:
        """See ports.secrets.SecretStore."""
        return SecretKey.from_bytes(self._derive(f"market-maker/{lane}"))

    def signing_key(self, purpose: str) -> SecretKey:
        """See ports.secrets.SecretStore."""
        return self.signing_key_of(self._seed, purpose)

    @staticmethod
    def signing_key_of(seed: Secret, purpose: str) -> SecretKey:
        """The signing key of a seed that belongs to no open store."""
        return SecretKey.from_bytes(_derive(seed, f"signing/{purpose}"))

    def wallet_seed(self) -> Secret:
        """64 bytes for the on-chain wallet's BIP32 tree."""
        return Secret(self._derive("wallet", length=64))

    def _derive(self, purpose: str, length: int = 32) -> bytes:
        return _derive(self._seed, purpose, length)


def unopened(seed: Secret, rows: Iterable[tuple[str, str, bytes]]) -> list[str]:
    """Names of the secrets (lane, name, sealed) that this seed does not open. No plain text is kept."""
    cipher = AESGCM(_derive(seed, "secret-store"))
    closed: list[str] = []
    for lane, name, sealed in rows:
        try:
            cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], _context(lane, name))
        except (InvalidTag, ValueError):
            closed.append(f"{lane}/{name}")
    return closed


def _derive(seed: Secret, purpose: str, length: int = 32) -> bytes:
    info = f"coordinator/{purpose}".encode()
    return HKDF(SHA256(), length, salt=b"coordinator-seed-1", info=info).derive(seed.reveal())


def _context(lane: str, name: str) -> bytes:
    return f"{lane}\x00{name}".encode()
