"""The equation every signature here must satisfy, and the table that holds it for many signatures.

With R the nonce point, T the adaptor point (infinity for a plain signature), R' = R + T, P the even aggregate key and
e the BIP340 challenge over x(R'), P and the message:

    s * G  ==  R + e * P     if R' has an even y
    s * G  == -R + e * P     if R' has an odd y

A plain signature is x(R') || s (64 bytes), an adaptor signature R || s (65 bytes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.pairs import PointPairs
from coordinator_core.secp256k1.hashes import tagged_state
from coordinator_core.secp256k1.native import COMPRESSED, N, ctx, ffi, lib

CHALLENGE: Final = tagged_state("BIP0340/challenge")
ORDER: Final = N.to_bytes(32, "big")
Rows = tuple[bytearray, list[bytes], list[bytes]]
"""Columns of a table: parity of R', scalars s, challenges e."""


def reduced(digest: bytes) -> bytes:
    """A 32-byte hash as a scalar; only one in 2^128 digests changes."""
    return digest if digest < ORDER else (int.from_bytes(digest, "big") % N).to_bytes(32, "big")


def challenge(adapted_x: bytes, item: SigningItem) -> bytes:
    """The scalar e for x(R'), 32 bytes."""
    state = CHALLENGE.copy()
    state.update(adapted_x + item.key_set.x_only + item.message)
    digest = state.digest()
    return digest if digest < ORDER else reduced(digest)


class EquationTable:
    """One row a signature; all of it is public. `pairs` holds the points R, the rest is bytes by index."""

    __slots__ = ("challenges", "encoded", "items", "odd", "pairs", "scalars")

    def __init__(self, items: Sequence[SigningItem]) -> None:
        count = len(items)
        self.items = items
        self.pairs = PointPairs(count)
        self.odd = bytearray(count)
        self.scalars: list[bytes] = [b""] * count
        self.challenges: list[bytes] = [b""] * count
        self.encoded: list[bytes] = [b""] * count
        """What a signature starts with: R (33 bytes) for an adaptor signature, x(R) (32 bytes) for a plain one."""

    @property
    def nonces(self) -> list[Any]:
        """The native points R, by index."""
        return self.pairs.points

    def rows(self, start: int, end: int) -> Rows:
        """Columns from start to end."""
        return self.odd[start:end], self.scalars[start:end], self.challenges[start:end]

    def signatures(self) -> list[bytes]:
        """All signatures, 64 or 65 bytes each."""
        return [nonce + scalar for nonce, scalar in zip(self.encoded, self.scalars, strict=True)]


class NoncePoint:
    """Fills rows of a table from their nonce point R: encodes R, adds T, hashes the challenge. One a thread."""

    __slots__ = ("_adapted", "_length", "_output", "_output_view", "_pair", "_table", "adapted_x")

    def __init__(self, table: EquationTable) -> None:
        self._table = table
        self.adapted_x = b""
        """x(R') of the row filled last, 32 bytes."""
        self._adapted: Any = ffi.new("secp256k1_pubkey *")
        self._pair: Any = ffi.new("secp256k1_pubkey *[2]")
        self._output: Any = ffi.new("unsigned char[33]")
        self._output_view: Any = ffi.buffer(self._output)
        self._length: Any = ffi.new("size_t *", 33)

    def fill(self, index: int, item: SigningItem, nonce: Any) -> bool:
        """Fill row `index` from a native R. False if R' is infinity, which no honest nonce gives."""
        encoded = self._encode(nonce)
        if item.adaptor_point is None:
            self._table.encoded[index] = encoded[1:]
            self._set(index, item, encoded)
            return True
        self._table.encoded[index] = encoded
        return self.adapt(index, item)

    def adapt(self, index: int, item: SigningItem) -> bool:
        """Fill row `index` of an adaptor signature but for its encoding. False if R' is infinity."""
        self._pair[0] = self._table.nonces[index]
        self._pair[1] = item.native_adaptor_point
        if not lib.secp256k1_ec_pubkey_combine(ctx, self._adapted, self._pair, 2):
            return False
        self._set(index, item, self._encode(self._adapted))
        return True

    def _encode(self, point: Any) -> bytes:
        lib.secp256k1_ec_pubkey_serialize(ctx, self._output, self._length, point, COMPRESSED)
        return self._output_view[:]

    def _set(self, index: int, item: SigningItem, adapted: bytes) -> None:
        self.adapted_x = adapted[1:]
        self._table.odd[index] = adapted[0] & 1
        self._table.challenges[index] = challenge(self.adapted_x, item)
