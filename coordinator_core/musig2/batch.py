"""Many equations as one: BIP340's batch verification, with the keys taken apart into the members they share.

With fresh random a_i of 96 bits or more, all rows hold but for a chance of 2^-96 if

    sum a_i * (+-)R_i  ==  S * G - sum E_P * P        S = sum a_i * s_i,  E_P = sum a_i * e_i over the rows of key P
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

from coordinator_core.musig2.coefficients import SOUND_BITS, Coefficients
from coordinator_core.musig2.equations import EquationTable, Rows
from coordinator_core.musig2.forms import confirm_forms, sum_by_member
from coordinator_core.musig2.linear import linear_combination, same_point
from coordinator_core.musig2.pairs import PointPairs
from coordinator_core.musig2.pippenger import PairRange, multiply


def batch_holds(table: EquationTable, start: int, end: int, bits: int = SOUND_BITS) -> bool:
    """True if all rows from start to end hold; a false one passes with a chance of 2^-bits."""
    # By identity, which is quicker than by value: equal key sets merely become two terms of the sum.
    used = [item.key_set for item in table.items[start:end]]
    keys = [*map(id, used)]
    key_sets = dict(zip(keys, used, strict=True))

    # Pairs of rows are multiplied where they lie, if the first row begins a pair.
    paired = start if start % 2 else end - end % 2
    copied = PointPairs.of([table.pairs.point(index) for index in range(paired, end)])
    ranges = [PairRange(table.pairs, start // 2, paired // 2), PairRange(copied, 0, copied.count)]
    coefficients = Coefficients(sum(map(PairRange.size, ranges)), bits)

    numbers, z = coefficients.numbers(), coefficients.z
    scalar, key_scalars = _weighted_sums(table.rows(start, end), keys, numbers, z)
    if (end - start) % 2:
        # The padding is the generator.
        scalar += z * numbers[-1]

    weighted = [(key_sets[key], number) for key, number in key_scalars.items()]
    if confirm_forms(key_sets.values()):
        right = sum_by_member(scalar, weighted)
    else:
        right = linear_combination(scalar, [(key_set.even_point, number) for key_set, number in weighted])
    return same_point(multiply(ranges, coefficients), right)


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
