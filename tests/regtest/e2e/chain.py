"""Blocks and time on bitcoind, with every LND node in step after each move."""

from __future__ import annotations

from coordinator_core.transaction import OutPoint
from tests.e2e.chain import MEDIAN_BLOCKS, ChainControl
from tests.regtest.e2e.services import RealServices


class RealChain(ChainControl):
    """See ChainControl. Time stands still between two calls: blocks mined at once carry the same time."""

    def __init__(self, services: RealServices) -> None:
        super().__init__(services)
        self._real = services

    async def mine_without_transactions(self) -> None:
        """See ChainControl."""
        await super().mine_without_transactions()
        await self._real.blocking(self._real.rig.wait_synced)

    async def pass_median(self, moment: int) -> None:
        """See ChainControl. A lock time has to lie before the median, which here is the very time that was set."""
        await self.pass_until(moment + 1)
        await self.mine(MEDIAN_BLOCKS)

    async def spender(self, outpoint: OutPoint) -> str | None:
        """See ChainControl."""
        return await self._real.spender(outpoint)

    async def invalidate(self, height: int) -> None:
        """See ChainControl."""
        await self._real.blocking(self._real.rig.invalidate, await self._real.rpc("getblockhash", height))
        await self.refresh()
