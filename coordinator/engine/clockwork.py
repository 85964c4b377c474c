"""Where the engine takes its time from: the wall clock and the domain clock over the chain cursor."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.ports.clock import PreciseClock
from coordinator.ports.following import BlockHeader
from coordinator.ports.store import Store
from coordinator_core.errors import Misuse
from coordinator_core.units import Blocks, UnixTime

DEFAULT_CANCEL_DELTA = Blocks(18)


@dataclass(slots=True)
class Clockwork:
    """`chain_time` true: the domain clock is the time of the last block (development, regtest); else the wall clock."""

    wall_clock: PreciseClock
    store: Store
    chain_time: bool
    cancel_delta: Blocks = DEFAULT_CANCEL_DELTA
    _tip: BlockHeader | None = None

    def wall(self) -> UnixTime:
        """Seconds since 1970 on this machine."""
        return self.wall_clock.now()

    def precise(self) -> float:
        """The same with fractions: leases, back-off and due times."""
        return self.wall_clock.precise()

    async def tip(self) -> BlockHeader:
        """The chain cursor. Raises Misuse before the first block was stored."""
        if self._tip is None:
            stored = await self.store.tip()
            # Unless the chain loop moved it while the database was asked.
            self._tip = self._tip or stored
        if self._tip is None:
            raise Misuse("no block is stored yet: the chain loop has not run")
        return self._tip

    def moved(self, tip: BlockHeader | None) -> None:
        """The chain loop moved the cursor; None forgets it."""
        self._tip = tip

    async def domain(self) -> UnixTime:
        """The domain clock."""
        return (await self.tip()).time if self.chain_time else self.wall()
