"""Keys and preimages at rest: one seed, encrypted; separate derivations; random secrets sealed under it."""

from __future__ import annotations

from typing import Protocol

from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret


class SecretStore(Protocol):
    """Write once, read by name. Raises errors.Misuse when a name is written twice with another value."""

    async def put(self, lane: str, name: str, value: Secret) -> None:
        """Seal a secret durably. Returns only when it is on disk."""
        ...

    def seal(self, lane: str, name: str, value: Secret) -> bytes:
        """A secret as `put` would write it, for `Transaction.put_secret`: it is then written with the facts that rely
        on it, or not at all. Only for values that whoever judges those facts has verified.
        """
        ...

    async def get(self, lane: str, name: str) -> Secret | None:
        """The secret, or None when there is none of that name."""
        ...

    def market_maker_key(self, lane: str) -> SecretKey:
        """The market maker key of a competition, derived from the seed."""
        ...

    def signing_key(self, purpose: str) -> SecretKey:
        """A key of the coordinator itself ("nostr", "receipts", "oracle"), derived from the seed."""
        ...
