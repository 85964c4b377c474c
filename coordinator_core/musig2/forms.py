"""Key sets taken apart into the members they share, so that a batch has one term a member instead of one a key.

A contract has hundreds of aggregate keys over a few members. Written out as t*G + sum of c * member, their terms in a
sum collapse into one a member. The aggregate which the library made stays the authority: a form is used only once it
was compared with it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Any, Final

from coordinator_core.musig2.coefficients import Coefficients
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.musig2.linear import linear_combination, same_point
from coordinator_core.musig2.pairs import PointPairs
from coordinator_core.musig2.pippenger import PairRange, multiply
from coordinator_core.secp256k1.native import N
from coordinator_core.secp256k1.points import parse_native

CACHED_MEMBERS: Final = 1 << 10
"""Of a few large contracts."""


def confirm_forms(key_sets: Collection[KeySet]) -> bool:
    """Compare the linear forms of key sets that share members with their aggregates, all at once.

    True if every form may be used from now on; a wrong one passes with a chance of 2^-96. False, and nothing is
    confirmed, if one is wrong or if there are too few key sets for their members to save anything.
    """
    if len({member for key_set in key_sets for member in key_set.members}) >= len(key_sets):
        return False
    unconfirmed = [key_set for key_set in key_sets if not key_set.form_confirmed]
    if unconfirmed and not _forms_hold(unconfirmed):
        return False
    for key_set in unconfirmed:
        key_set.form_confirmed = True
    return True


def sum_by_member(generator_scalar: int, weighted: Iterable[tuple[KeySet, int]]) -> Any | None:
    """generator_scalar*G plus the sum of number times even aggregate, by the linear forms; None for infinity."""
    sums: dict[bytes, int] = {}
    for key_set, number in weighted:
        reduced = number % N
        tweak, form = key_set.linear_form()
        generator_scalar += reduced * tweak
        for member, coefficient in zip(key_set.members, form, strict=True):
            sums[member] = sums.get(member, 0) + reduced * coefficient
    return linear_combination(generator_scalar, [(_native(member), number) for member, number in sums.items()])


@lru_cache(maxsize=CACHED_MEMBERS)
def _native(member: bytes) -> Any:
    # Only ever copied, never written to: see linear_combination().
    return parse_native(member)


def _forms_hold(key_sets: list[KeySet]) -> bool:
    points = PointPairs.of([key_set.even_point for key_set in key_sets])
    coefficients = Coefficients(points.count)
    weights = [weight for number in coefficients.numbers() for weight in (number, number * coefficients.z)]
    # An odd number of points is padded with the generator.
    padding = weights[-1] if len(key_sets) % 2 else 0
    right = sum_by_member(padding, zip(key_sets, weights, strict=False))
    return same_point(multiply([PairRange(points, 0, points.count)], coefficients), right)
