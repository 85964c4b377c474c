"""Many equations as one: BIP340's batch verification, with the keys taken apart into the members they share.

With fresh random a_i of 96 bits or more, all rows hold but for a chance of 2^-96 if

    sum a_i * (+-)R_i  ==  S * G - sum E_P * P        S = sum a_i * s_i,  E_P = sum a_i * e_i over the rows of key P

A contract has thousands of aggregate keys over a few members. Written out as t*G + sum of c * member, their terms
collapse into one a member. So that the aggregate which the library made stays the authority, a key set taken apart
for the first time joins both sides with a random r: r * P on the left, r times its linear form on the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import mul
from typing import Any

from coordinator_core.musig2.coefficients import SOUND_BITS, Coefficients
from coordinator_core.musig2.equations import EquationTable, Rows
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.musig2.linear import linear_combination
from coordinator_core.musig2.pairs import PointPairs
from coordinator_core.musig2.pippenger import PairRange, multiply
from coordinator_core.secp256k1.native import N, ctx, lib
from coordinator_core.secp256k1.points import parse_native


def batch_holds(table: EquationTable, start: int, end: int, bits: int = SOUND_BITS) -> bool:
    """True if all rows from start to end hold; a false one passes with a chance of 2^-bits."""
    # By identity, which is quicker than by value: equal key sets merely become two terms of the sum.
    used = [item.key_set for item in table.items[start:end]]
    keys = [*map(id, used)]
    key_sets = dict(zip(keys, used, strict=True))
    members = {member for key_set in key_sets.values() for member in key_set.members}
    taken_apart = len(members) < len(key_sets)
    unconfirmed = [k for k in key_sets.values() if not k.form_confirmed] if taken_apart else []

    # Pairs of rows are multiplied where they lie, if the first row begins a pair.
    paired = start if start % 2 else end - end % 2
    copied = PointPairs.of([*table.nonces[paired:end], *(key_set.even_point for key_set in unconfirmed)])
    ranges = [PairRange(table.pairs, start // 2, paired // 2), PairRange(copied, 0, copied.count)]
    coefficients = Coefficients(sum(map(PairRange.size, ranges)), bits)

    numbers, z = coefficients.numbers(), coefficients.z
    scalar, key_scalars = _weighted_sums(table.rows(start, end), keys, numbers, z)
    for place, key_set in enumerate(unconfirmed, end - start):
        key_scalars[id(key_set)] += numbers[place // 2] * (z if place % 2 else 1)
    if (end - start + len(unconfirmed)) % 2:
        # The padding is the generator.
        scalar += z * numbers[-1]

    weighted = [(key_sets[key], number) for key, number in key_scalars.items()]
    right = _by_member(scalar, weighted) if taken_apart else _by_key(scalar, weighted)
    holds = _equal(multiply(ranges, coefficients), right)
    if holds:
        for key_set in unconfirmed:
            key_set.form_confirmed = True
    return holds


def _weighted_sums(rows: Rows, keys: Sequence[int], numbers: Sequence[int], z: int) -> tuple[int, dict[int, int]]:
    """(S, -E by key); the sign of R' is moved into both. There may be more numbers than pairs of rows."""
    odd, scalars, challenges = rows
    scalar, key_scalars = 0, dict.fromkeys(keys, 0)
    for factor, half in ((1, slice(0, None, 2)), (z, slice(1, None, 2))):
        weights = [-number if negative else number for number, negative in zip(numbers, odd[half], strict=False)]
        scalar += factor * sum(map(mul, weights, map(int.from_bytes, scalars[half])))
        sums = dict.fromkeys(keys, 0)
        for key, product in zip(keys[half], map(mul, weights, map(int.from_bytes, challenges[half])), strict=True):
            sums[key] -= product
        for key, total in sums.items():
            key_scalars[key] += factor * total
    return scalar, key_scalars


def _by_key(scalar: int, weighted: Iterable[tuple[KeySet, int]]) -> Any | None:
    return linear_combination(scalar, [(key_set.even_point, number) for key_set, number in weighted])


def _by_member(scalar: int, weighted: Sequence[tuple[KeySet, int]]) -> Any | None:
    sums = {member: 0 for key_set, _ in weighted for member in key_set.members}
    for key_set, number in weighted:
        reduced = number % N
        tweak, form = key_set.linear_form()
        scalar += reduced * tweak
        for member, coefficient in zip(key_set.members, form, strict=True):
            sums[member] += reduced * coefficient
    return linear_combination(scalar, [(parse_native(member), number) for member, number in sums.items()])


def _equal(left: Any | None, right: Any | None) -> bool:
    if left is None or right is None:
        return left is None and right is None
    return lib.secp256k1_ec_pubkey_cmp(ctx, left, right) == 0
