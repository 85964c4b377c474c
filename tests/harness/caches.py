"""The caches of cryptography as a coordinator has them after some thousand contracts: full.

They are bounded, but a soak of an hour would watch them fill, and call that growth.
"""

from __future__ import annotations

from itertools import combinations, islice
from typing import Final

from coordinator_core.musig2 import forms, item, keyset
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.secp256k1 import SecretKey

MEMBERS: Final = 4
"""Of a key set: three players and the market maker, as in the contracts of a soak."""
KEYS: Final = 32
"""Enough for more sets of four than are kept."""


def fill() -> None:
    """Takes about a second."""
    keys = [SecretKey.from_bytes(number.to_bytes(32, "big")).public_key for number in range(1, 1 + item.CACHED_POINTS)]
    for key in keys:
        item.is_adaptor_point(key)
    sets = combinations(keys[:KEYS], MEMBERS)
    for members in islice(sets, keyset.CACHED_KEY_SETS):
        KeySet.aggregate(members).with_taproot_tweak().coefficients()
    # A tweaked key is found by the key below it, which lives on after its own turn in its cache is over.
    for members in islice(sets, keyset.CACHED_KEY_SETS):
        KeySet.aggregate(members).coefficients()
    forms.sum_by_member(1, [(KeySet.aggregate(keys[: forms.CACHED_MEMBERS]), 1)])
