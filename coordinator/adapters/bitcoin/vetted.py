"""A node that is asked nothing before it was found to follow the right chain: blocks of another would replace ours."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.adapters.vetting import Vetting
from coordinator.ports.bitcoin import (
    Block,
    BroadcastResult,
    Chain,
    Coin,
    Network,
    Outpoint,
    Spend,
    Tip,
    TransactionStatus,
)
from coordinator_core.units import FeeRate, Height


class VettedChain:
    """See ports.bitcoin.Chain. Every call raises what Vetting.require raises."""

    def __init__(self, chain: Chain, vetting: Vetting) -> None:
        self._chain = chain
        self._vetting = vetting

    async def _vetted(self) -> Chain:
        await self._vetting.require()
        return self._chain

    async def network(self) -> Network:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).network()

    async def tip(self) -> Tip:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).tip()

    async def hash_at(self, height: Height) -> str | None:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).hash_at(height)

    async def block_at(self, height: Height) -> Block | None:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).block_at(height)

    async def transaction_status(self, txid: str) -> TransactionStatus:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).transaction_status(txid)

    async def raw_transaction(self, txid: str) -> bytes | None:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).raw_transaction(txid)

    async def spend_of(self, outpoint: Outpoint) -> Spend | None:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).spend_of(outpoint)

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[Coin, ...]:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).coins_of(scripts)

    async def broadcast(self, raw: bytes) -> BroadcastResult:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).broadcast(raw)

    async def broadcast_package(self, raws: Sequence[bytes]) -> BroadcastResult:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).broadcast_package(raws)

    async def fee_rate(self, target_blocks: int) -> FeeRate | None:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).fee_rate(target_blocks)

    async def relay_floor(self) -> FeeRate:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).relay_floor()

    async def incremental_relay(self) -> FeeRate:
        """See ports.bitcoin.Chain."""
        return await (await self._vetted()).incremental_relay()
