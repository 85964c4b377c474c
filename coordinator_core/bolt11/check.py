"""Compares a verified invoice with what was agreed, before it is paid, held or handed on."""

from __future__ import annotations

from typing import Final

from coordinator_core.bolt11.invoice import Invoice
from coordinator_core.errors import Refused
from coordinator_core.secp256k1 import sha256
from coordinator_core.units import Blocks, Millisats, Seconds, UnixTime

_ONE_SECOND: Final = Seconds(1)
_CLOCK_TOLERANCE: Final = Seconds(2 * 3600)


def check(
    invoice: Invoice,
    *,
    prefix: str,
    now: UnixTime,
    payment_hash: bytes | None = None,
    amount: Millisats | None = None,
    description: str | None = None,
    payee: bytes | None = None,
    at_least_valid: Seconds = _ONE_SECOND,
    most_final_cltv_expiry: Blocks | None = None,
) -> None:
    """Raise Refused, naming the field, where the invoice differs from what is given; None is not compared.

    `description` matches as text or by its hash. An invoice without an amount does not match one. The invoice must
    be valid for `at_least_valid` more seconds at `now`, and must not have been made after it by more than two hours.
    """
    _same("network", prefix, invoice.prefix)
    if payment_hash is not None:
        _same("payment hash", payment_hash.hex(), invoice.payment_hash.hex())
    if amount is not None:
        _same("amount", f"{amount} msat", "none" if invoice.amount is None else f"{invoice.amount} msat")
    if payee is not None:
        _same("payee", payee.hex(), invoice.payee.hex())
    if description is not None:
        _description(invoice, description)
    _dates(invoice, now, at_least_valid)
    if most_final_cltv_expiry is not None and invoice.min_final_cltv_expiry > most_final_cltv_expiry:
        given = f"is {invoice.min_final_cltv_expiry} blocks"
        raise Refused("invoice.min final cltv expiry", given, f"at most {most_final_cltv_expiry}")


def _same(name: str, expected: str, found: str) -> None:
    if expected != found:
        raise Refused(f"invoice.{name}", f"is {found}", f"must be {expected}")


def _description(invoice: Invoice, expected: str) -> None:
    if invoice.description_hash is not None:
        _same("description hash", sha256(expected.encode()).hex(), invoice.description_hash.hex())
    elif invoice.description != expected:
        raise Refused("invoice.description", "is another text", "must be the agreed description")


def _dates(invoice: Invoice, now: UnixTime, at_least_valid: Seconds) -> None:
    if invoice.timestamp > now + _CLOCK_TOLERANCE:
        raise Refused("invoice.timestamp", "lies in the future", "compare the clocks")
    left = invoice.expires_at - now
    if left < at_least_valid:
        stated = "has expired" if left <= 0 else f"expires in {left} s"
        raise Refused("invoice.expiry", stated, f"must be valid for {at_least_valid} s more")
