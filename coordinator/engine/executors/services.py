"""What executors work with: the ports, the store, and the helpers that pin what is random."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from coordinator.engine.clockwork import Clockwork
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.ports.bitcoin import Chain, Wallet
from coordinator.ports.keymeld import Keymeld
from coordinator.ports.lightning import Lightning
from coordinator.ports.notify import Notifier
from coordinator.ports.oracle import Oracle
from coordinator.ports.secrets import SecretStore
from coordinator.ports.store import Store
from coordinator_core.errors import Misuse
from coordinator_core.secret import Secret
from coordinator_core.units import Height, UnixTime


@dataclass(frozen=True, slots=True)
class Services:
    """Everything outside."""

    store: Store
    clock: Clockwork
    secrets: SecretStore
    chain: Chain
    wallet: Wallet
    lightning: Lightning
    oracle: Oracle
    keymeld: Keymeld
    notifier: Notifier
    observer: EngineObserver = UNOBSERVED

    async def present(self) -> tuple[Height, UnixTime]:
        """Height and domain time by the node's own tip: our cursor may lag, and a deadline counted from it could
        already have passed.
        """
        tip = await self.chain.tip()
        return tip.height, tip.time if self.clock.chain_time else self.clock.wall()

    async def pinned(self, duty: str, slot: str, make: Callable[[], Awaitable[bytes] | bytes]) -> bytes:
        """The pin of a duty, made and written before its first use. Two makers: the first writer wins."""
        known = await self.store.pinned(duty, slot)
        if known is not None:
            return known
        value = make()
        fresh = value if isinstance(value, bytes) else await value
        self.observer.pinning(duty, slot)
        async with self.store.write() as tx:
            stored = await tx.pin(duty, slot, fresh)
        self.observer.pinned(duty, slot)
        return stored

    async def secret(self, lane: str, name: str, make: Callable[[], Secret]) -> Secret:
        """A secret of a competition, made and stored before its first use."""
        known = await self.secrets.get(lane, name)
        if known is not None:
            return known
        fresh = make()
        await self.secrets.put(lane, name, fresh)
        return fresh

    async def blob(self, name: str) -> bytes:
        """A stored blob. Raises Misuse when it is not there."""
        data = await self.store.blob(name)
        if data is None:
            raise Misuse(f"blob {name} is missing")
        return data

    async def put_blob(self, data: bytes) -> str:
        """Store a blob; its name."""
        async with self.store.write() as tx:
            return await tx.put_blob(data)
