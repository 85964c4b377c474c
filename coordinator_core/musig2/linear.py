"""A sum of a few points times public scalars."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from coordinator_core.secp256k1.native import N, ctx, ffi, lib
from coordinator_core.secp256k1.points import scalar_to_bytes


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


def same_point(left: Any | None, right: Any | None) -> bool:
    """True if two native points, None for infinity, are the same."""
    if left is None or right is None:
        return left is None and right is None
    return lib.secp256k1_ec_pubkey_cmp(ctx, left, right) == 0
