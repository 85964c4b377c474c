"""Many equations as one: BIP340's batch verification, with the keys taken apart into the members they share.

With fresh random 96-bit a_i, all rows hold but for a chance of 2^-96 if

    sum a_i * (+-)R_i  ==  S * G - sum E_P * P        S = sum a_i * s_i,  E_P = sum a_i * e_i over the rows of key P

A contract has thousands of aggregate keys over a few members. Written out as t*G + sum of c * member, their terms
collapse into one a member. So that the aggregate which the library made stays the authority, a key set taken apart
for the first time joins both sides with a random r: r * P on the left, r times its linear form on the right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import mul
from typing import Any

from coordinator_core.musig2.equations import EquationTable, Rows
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.musig2.pippenger import SOUND_BITS, Coefficients, multiply
from coordinator_core.secp256k1.native import N, ctx, ffi, lib
from coordinator_core.secp256k1.points import parse_native, scalar_to_bytes


def batch_holds(table: EquationTable, start: int, end: int, bits: int = SOUND_BITS) -> bool:
    """True if all rows from start to end hold; a false one passes with a chance of 2^-bits."""
    # By identity, which is quicker than by value: equal key sets merely become two terms of the sum.
    keys = [id(item.key_set) for item in table.items[start:end]]
    key_sets = {key: item.key_set for key, item in zip(keys, table.items[start:end], strict=True)}
    members = {member for key_set in key_sets.values() for member in key_set.members}
    taken_apart = len(members) < len(key_sets)
    unconfirmed = [k for k in key_sets.values() if not k.form_confirmed] if taken_apart else []

    coefficients = Coefficients(end - start + len(unconfirmed), bits)
    numbers = coefficients.numbers()
    scalar, key_scalars = _weighted_sums(table.rows(start, end), keys, numbers)
    for key_set, number in zip(unconfirmed, numbers[end - start :], strict=True):
        key_scalars[id(key_set)] += number

    points = [table.nonces + index for index in range(start, end)]
    points.extend(key_set.even_point for key_set in unconfirmed)
    weighted = [(key_sets[key], number) for key, number in key_scalars.items()]
    right = _by_member(scalar, weighted) if taken_apart else _by_key(scalar, weighted)
    holds = _equal(multiply(points, coefficients), right)
    if holds:
        for key_set in unconfirmed:
            key_set.form_confirmed = True
    return holds


def linear_combination(generator_scalar: int, terms: Iterable[tuple[Any, int]]) -> Any | None:
    """scalar*G plus the sum of scalar times native point, for public scalars; None for infinity."""
    products: list[Any] = []
    if generator_scalar % N:
        products.append(ffi.new("secp256k1_pubkey *"))
        lib.secp256k1_ec_pubkey_create(ctx, products[0], scalar_to_bytes(generator_scalar))
    for point, scalar in terms:
        if scalar % N:
            product = ffi.new("secp256k1_pubkey *", point[0])
            lib.secp256k1_ec_pubkey_tweak_mul(ctx, product, scalar_to_bytes(scalar))
            products.append(product)
    total = ffi.new("secp256k1_pubkey *")
    pointers = ffi.new("secp256k1_pubkey *[]", products)
    found = products and lib.secp256k1_ec_pubkey_combine(ctx, total, pointers, len(products))
    return total if found else None


def _weighted_sums(rows: Rows, keys: Sequence[int], numbers: Sequence[int]) -> tuple[int, dict[int, int]]:
    """(S, -E by key); the sign of R' is moved into both. There may be more numbers than rows."""
    odd, scalars, challenges = rows
    weights = [-number if negative else number for number, negative in zip(numbers, odd, strict=False)]
    key_scalars = dict.fromkeys(keys, 0)
    for key, product in zip(keys, map(mul, weights, map(int.from_bytes, challenges)), strict=True):
        key_scalars[key] -= product
    return sum(map(mul, weights, map(int.from_bytes, scalars))), key_scalars


def _by_key(scalar: int, weighted: Iterable[tuple[KeySet, int]]) -> Any | None:
    return linear_combination(scalar, [(key_set.even_point, number) for key_set, number in weighted])


def _by_member(scalar: int, weighted: Iterable[tuple[KeySet, int]]) -> Any | None:
    sums: dict[bytes, int] = {}
    for key_set, number in weighted:
        number %= N
        tweak, form = key_set.linear_form()
        scalar += number * tweak
        for member, coefficient in form:
            sums[member] = sums.get(member, 0) + number * coefficient
    return linear_combination(scalar, [(parse_native(member), number) for member, number in sums.items()])


def _equal(left: Any | None, right: Any | None) -> bool:
    if left is None or right is None:
        return left is None and right is None
    return lib.secp256k1_ec_pubkey_cmp(ctx, left, right) == 0
