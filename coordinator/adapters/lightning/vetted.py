"""A Lightning node that is asked nothing before it was found to be on the right network, with the rights it needs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from coordinator.adapters.lightning.lnd import LndNode
from coordinator.adapters.vetting import Vetting
from coordinator.ports.lightning import (
    HoldInvoice,
    InvoiceState,
    Liquidity,
    ListedInvoice,
    NodeInfo,
    OutgoingPayment,
    Payment,
)
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Sats, Seconds, UnixTime


class VettedLightning:
    """See ports.lightning.Lightning. Every call raises what Vetting.require raises."""

    def __init__(self, node: LndNode, vetting: Vetting) -> None:
        self._node = node
        self._vetting = vetting

    async def _vetted(self) -> LndNode:
        await self._vetting.require()
        return self._node

    async def info(self) -> NodeInfo:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).info()

    async def liquidity(self) -> Liquidity:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).liquidity()

    async def add_hold_invoice(
        self, payment_hash: str, value: Sats, *, description_hash: bytes, expiry: Seconds, cltv_expiry: Blocks
    ) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).add_hold_invoice(
            payment_hash, value, description_hash=description_hash, expiry=expiry, cltv_expiry=cltv_expiry
        )

    async def invoice(self, payment_hash: str) -> HoldInvoice | None:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).invoice(payment_hash)

    async def invoice_updates(self, payment_hash: str) -> AsyncGenerator[InvoiceState]:
        """See ports.lightning.Lightning."""
        async with aclosing((await self._vetted()).invoice_updates(payment_hash)) as states:
            async for state in states:
                yield state

    async def settle(self, preimage: Secret) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).settle(preimage)

    async def cancel(self, payment_hash: str) -> HoldInvoice:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).cancel(payment_hash)

    async def pay(self, payment_request: str, *, fee_limit: Sats, timeout: Seconds, cltv_limit: Blocks) -> Payment:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).pay(
            payment_request, fee_limit=fee_limit, timeout=timeout, cltv_limit=cltv_limit
        )

    async def payment(self, payment_hash: str) -> Payment:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).payment(payment_hash)

    async def history_reaches(self, payment_hash: str) -> bool:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).history_reaches(payment_hash)

    async def listed_payments(self, since: UnixTime) -> tuple[OutgoingPayment, ...]:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).listed_payments(since)

    async def listed_invoices(self, since: UnixTime) -> tuple[ListedInvoice, ...]:
        """See ports.lightning.Lightning."""
        return await (await self._vetted()).listed_invoices(since)
