"""A Lightning wallet that is somewhere else: its owner pays what is shown, and brings an invoice."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final

import segno

from coordinator_core import bolt11
from coordinator_core.errors import InvalidInput
from coordinator_core.secret import Secret
from coordinator_core.units import Sats, Seconds

_MSAT: Final = 1_000


class WalletByHand:
    """See player.wallet.Wallet. `show` prints lines of text; `draw` says whether a QR code is of use there."""

    def __init__(self, show: Callable[[str], None], *, draw: bool, invoice: str | None = None) -> None:
        self._show = show
        self._draw = draw
        self._invoice = invoice

    async def close(self) -> None:
        """Nothing is open."""

    async def pay_held(self, payment_request: str, fee_limit: Sats) -> None:
        """Show the invoice."""
        amount = int(bolt11.decode(payment_request).amount or 0) // _MSAT
        self._show(f"pay this invoice of {amount:,} sat with your wallet:")
        self._show(f"\n{payment_request}\n")
        if self._draw:
            self._show(qr_code(payment_request))
        self._show("waiting until the payment is held; your wallet shows it as pending until the contract is confirmed")

    async def failure(self, payment_hash: str) -> str | None:
        """Its owner sees that in the wallet."""
        return None

    async def pending(self, payment_hash: str) -> bool:
        """Its owner sees that in the wallet, and is asked before another invoice is paid."""
        return False

    async def received(self, payment_request: str) -> bool:
        """Only the wallet itself shows it."""
        return False

    async def payment_preimage(self, payment_hash: str) -> Secret | None:
        """Only the wallet itself shows it."""
        return None

    async def make_invoice(self, amount: Sats, expiry: Seconds, preimage: Secret | None = None) -> str:
        """The invoice that was brought. Raises InvalidInput when there is none, or it is over another amount."""
        if self._invoice is None or preimage is not None:
            raise InvalidInput("--invoice", "is not given", f"an invoice over exactly {amount} sat")
        if bolt11.decode(self._invoice).amount != amount * _MSAT:
            raise InvalidInput("--invoice", "is over another amount", f"exactly {amount} sat")
        return self._invoice


def qr_code(payment_request: str) -> str:
    """An invoice as a QR code of half blocks; upper case makes it smaller and means the same."""
    drawn = io.StringIO()
    segno.make(payment_request.upper(), error="l", micro=False).terminal(out=drawn, compact=True, border=2)
    return drawn.getvalue()
