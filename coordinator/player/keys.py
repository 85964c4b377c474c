"""What a player owns: a Nostr identity and one secret of which everything else is derived."""

from __future__ import annotations

import hashlib

from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret


class PlayerKeys:
    """Identity and player secret, both from one seed of 32 bytes."""

    def __init__(self, seed: Secret) -> None:
        self._seed = seed
        self.identity = SecretKey.from_bytes(self._derive(b"identity"))
        self.secret = Secret(self._derive(b"player"))

    @classmethod
    def fresh(cls) -> PlayerKeys:
        """A new player."""
        return cls(Secret.random(32))

    @property
    def seed(self) -> Secret:
        """What has to be kept."""
        return self._seed

    @property
    def name(self) -> str:
        """First digits of the public identity, for people."""
        return self.identity.x_only.hex()[:8]

    def _derive(self, purpose: bytes) -> bytes:
        return hashlib.sha256(b"coordinator-player/" + purpose + self._seed.reveal()).digest()
