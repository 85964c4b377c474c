"""What is signed: a message under a key set, plainly or as an adaptor signature."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, NamedTuple

from coordinator_core.errors import InvalidInput
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.secp256k1.native import exact_bytes
from coordinator_core.secp256k1.points import parse_native

CACHED_POINTS: Final = 1 << 13


def is_adaptor_point(point: bytes) -> bool:
    """True for 33 bytes that are a point of the curve; its parsed form is kept for the items that will use it."""
    try:
        _parse_adaptor_point(point)
    except InvalidInput:
        return False
    return True


def _parse_adaptor_point(point: bytes) -> Any:
    return _parse_known_bytes(exact_bytes(point, 33, "adaptor point"))


@lru_cache(maxsize=CACHED_POINTS)
def _parse_known_bytes(point: bytes) -> Any:
    return parse_native(point, "adaptor point")


class _Item(NamedTuple):
    key_set: KeySet
    message: bytes
    adaptor_point: bytes | None
    native_adaptor_point: Any


class SigningItem(_Item):
    """A 32-byte message, the key set that signs it, and for an adaptor signature the 33-byte adaptor point.

    Immutable, so that what a nonce was made for cannot change before it signs. Raises InvalidInput for a message of
    another length or an adaptor point that is not on the curve.
    """

    __slots__ = ()

    def __new__(cls, key_set: KeySet, message: bytes, adaptor_point: bytes | None = None) -> SigningItem:
        """Check the message, and parse the adaptor point once for all later uses."""
        exact_bytes(message, 32, "message")
        native = None if adaptor_point is None else _parse_adaptor_point(adaptor_point)
        return _Item.__new__(cls, key_set, message, adaptor_point, native)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SigningItem) and self[:3] == other[:3]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:3])

    def __repr__(self) -> str:
        point = "" if self.adaptor_point is None else f", adaptor point {self.adaptor_point.hex()}"
        return f"SigningItem({self.message.hex()} under {self.key_set!r}{point})"

    def __reduce__(self) -> tuple[Any, ...]:
        return SigningItem, self[:3]
