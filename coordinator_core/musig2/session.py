"""Signing sessions: BIP327 for plain items, variant B of adaptor signatures (Rust crate musig2) for the others.

Variant B does not commit the nonce coefficient to the adaptor point. It is safe only because a signer fixes message,
key set and adaptor point with its nonce and computes every session itself; a signer that let another party choose the
point after seeing nonces could be made to sign anything. So a session is only ever computed from items and aggregated
nonces, and is never taken from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordinator_core.errors import InvalidInput
from coordinator_core.musig2.equations import EquationTable, NoncePoint, reduced
from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.musig2.layout import EVEN_POINT, write_session
from coordinator_core.musig2.parallel import in_slices
from coordinator_core.secp256k1.hashes import tagged_state
from coordinator_core.secp256k1.native import N, ctx, exact_bytes, ffi, lib, require

_NONCE_COEFFICIENT: Final = tagged_state("MuSig/noncecoef")
_INFINITY: Final = bytes(33)
_ZERO: Final = bytes(32)


class Sessions:
    """The sessions of many items. `table` holds their equations without the scalars, `at(i)` the native session."""

    __slots__ = ("_native", "table")

    def __init__(self, items: Sequence[SigningItem], aggregated_nonces: Sequence[bytes], *, threads: int = 1) -> None:
        """Compute each session. Raises InvalidInput, naming the item, for a nonce that is malformed or cancels."""
        if len(items) != len(aggregated_nonces):
            given = f"are {len(aggregated_nonces)} for {len(items)} items"
            raise InvalidInput("aggregated nonces", given, "give one an item")
        self.table = EquationTable(items)
        self._native: Any = ffi.new("secp256k1_musig_session[]", max(1, len(items)))

        def compute(start: int, end: int) -> None:
            nonce_point = NoncePoint(self.table)
            for index in range(start, end):
                self._compute(index, items[index], aggregated_nonces[index], nonce_point)

        in_slices(compute, len(items), threads)

    def at(self, index: int) -> Any:
        """The native session of an item; valid while this object is alive."""
        return self._native + index

    def _compute(self, index: int, item: SigningItem, aggregated: bytes, nonce_point: NoncePoint) -> None:
        field = f"aggregated nonces[{index}]"
        exact_bytes(aggregated, 66, field)
        state = _NONCE_COEFFICIENT.copy()
        state.update(aggregated + item.key_set.x_only + item.message)
        coefficient = reduced(state.digest())
        nonce = self.table.nonces[index]
        _effective_nonce(nonce, aggregated, coefficient, field)
        if not nonce_point.fill(index, item, nonce):
            raise InvalidInput(field, "cancels the adaptor point", "start again with fresh nonces")
        challenge = self.table.challenges[index]
        write_session(
            self._native + index,
            self.table.odd[index],
            nonce_point.adapted_x,
            coefficient,
            challenge,
            tweak_part(item.key_set, challenge),
        )


def tweak_part(key_set: KeySet, challenge: bytes) -> bytes:
    """e * g * tacc, 32 bytes: what the tweaks add to the aggregated scalar."""
    if key_set.tweak_term == _ZERO:
        return _ZERO
    product = int.from_bytes(challenge, "big") * int.from_bytes(key_set.tweak_term, "big")
    return (product % N).to_bytes(32, "big")


def _effective_nonce(output: Any, aggregated: bytes, coefficient: bytes, field: str) -> None:
    """output = R1 + b * R2, or the generator where BIP327 puts it in place of infinity."""
    parts: list[Any] = []
    for half, factor in ((aggregated[:33], None), (aggregated[33:], coefficient)):
        if half == _INFINITY:
            continue
        point = ffi.new("secp256k1_pubkey *")
        if not lib.secp256k1_ec_pubkey_parse(ctx, point, half, 33):
            raise InvalidInput(field, "is not two points of the curve", "give 66 bytes")
        if factor is not None:
            require(lib.secp256k1_ec_pubkey_tweak_mul(ctx, point, factor), "multiplying a nonce failed")
        parts.append(point)
    terms = ffi.new("secp256k1_pubkey *[]", parts)
    if not parts or not lib.secp256k1_ec_pubkey_combine(ctx, output, terms, len(parts)):
        ffi.memmove(output, EVEN_POINT, 64)
