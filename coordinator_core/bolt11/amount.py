"""The human-readable part of an invoice: 'ln', the currency prefix of BIP173, and an amount of bitcoin."""

from __future__ import annotations

import re
from typing import Final

from coordinator_core.errors import InvalidInput
from coordinator_core.units import MAX_MONEY, Millisats

PREFIXES: Final = {"mainnet": "bc", "testnet4": "tb", "signet": "tbs", "regtest": "bcrt"}
"""Currency prefix by name of the network."""

_READABLE: Final = re.compile(r"ln(bcrt|bc|tbs|tb)(?:([1-9][0-9]{0,17})([munp]?))?")
_PICO_OF: Final = {"": 10**12, "m": 10**9, "u": 10**6, "n": 10**3, "p": 1}
_PICO_PER_MILLISAT: Final = 10


def parse_readable(readable: str) -> tuple[str, Millisats | None]:
    """(currency prefix, amount or None). Raises InvalidInput for another network or a malformed amount."""
    match = _READABLE.fullmatch(readable)
    if match is None:
        raise InvalidInput(
            "invoice.amount",
            "network or amount cannot be read",
            "a bitcoin invoice with a whole number without leading zeros and one of m, u, n, p or none",
        )
    prefix, number, multiplier = match.groups()
    if number is None:
        return prefix, None
    pico = int(number) * _PICO_OF[multiplier]
    if pico % _PICO_PER_MILLISAT:
        raise InvalidInput("invoice.amount", "is a fraction of a millisatoshi", "a pico amount that ends with 0")
    amount = pico // _PICO_PER_MILLISAT
    if amount > MAX_MONEY * 1000:
        raise InvalidInput("invoice.amount", "is more than all bitcoin", f"at most {MAX_MONEY} sat")
    return prefix, Millisats(amount)
