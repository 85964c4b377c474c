"""The canonical digest behind every signed object (keymeld section 1.1), and the wire types it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, TypeVar

import msgspec

from coordinator_core.errors import InvalidInput, InvalidSignature
from coordinator_core.secp256k1 import ecdsa_verify, is_point, parse_point, sha256

Byte = Annotated[int, msgspec.Meta(ge=0, le=255)]
Octets = list[Byte]
"""A byte string on the wire: an array of integers."""
Octets32 = Annotated[list[Byte], msgspec.Meta(min_length=32, max_length=32)]
Octets33 = Annotated[list[Byte], msgspec.Meta(min_length=33, max_length=33)]
Octets64 = Annotated[list[Byte], msgspec.Meta(min_length=64, max_length=64)]
PublicKeyOctets = Annotated[list[Byte], msgspec.Meta(min_length=33, max_length=65)]
"""A key that may be written compressed (33) or uncompressed (65)."""
Uuid = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")]
EnclaveId = Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)]
Unsigned = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]

_FIELD_PRIME = (1 << 256) - (1 << 32) - 977

_K = TypeVar("_K", str, int)
_V = TypeVar("_V")


def authorization_digest(domain: str, payload: object) -> bytes:
    """SHA-256 over tag, domain and compact JSON of a payload of structs, sequences, strings and integers."""
    json = msgspec.json.encode(payload)
    name = domain.encode()
    return sha256(b"keymeld-authorization-v1" + length(name) + name + length(json) + json)


def length(data: bytes) -> bytes:
    """The length prefix of the digests: 8 bytes big-endian."""
    return len(data).to_bytes(8, "big")


def sorted_map(values: dict[_K, _V]) -> dict[_K, _V]:
    """UUID keys in string order, enclave ids in numeric order."""
    return {key: values[key] for key in sorted(values)}


def canonical_point(octets: Sequence[int], field: str) -> bytes:
    """A key as 33 bytes, from its compressed or uncompressed form. Raises InvalidInput."""
    data = bytes(octets)
    if len(data) != 65:
        return parse_point(data, field)
    x, y = int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")
    compressed = bytes((2 + (y & 1),)) + data[1:33]
    on_curve = y < _FIELD_PRIME and (y * y - x * x * x - 7) % _FIELD_PRIME == 0
    if data[0] != 4 or not on_curve or not is_point(compressed):
        raise InvalidInput(field, "is not a point of the curve", "give a secp256k1 key of 33 or 65 bytes")
    return compressed


def check_signature(what: str, signature: Sequence[int], digest: bytes, public_key: bytes) -> None:
    """ECDSA, 64 bytes, low S, by a 33-byte key. Raises InvalidSignature naming `what`."""
    if not ecdsa_verify(bytes(signature), digest, public_key):
        raise InvalidSignature(what)
