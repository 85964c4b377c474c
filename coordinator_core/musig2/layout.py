"""The memory layout of five opaque structures of the library, the only place that knows it.

An adaptor session of variant B hashes the nonce coefficient from the original nonces and the challenge from the
adapted one, which nonce_process() cannot do. So the session is written here, and the library's own signing,
verification and single use of nonces then apply unchanged. The header calls the layout implementation-defined:
the guard compares what is written here byte for byte with what the library writes.
"""

from __future__ import annotations

from typing import Any, Final

from coordinator_core.secp256k1.native import ffi
from coordinator_core.secp256k1.points import G, parse_native

_SESSION_MAGIC: Final = bytes.fromhex("9dede917")
_CACHE_MAGIC: Final = bytes.fromhex("f4adbbdf")
PAIR_MAGIC: Final = bytes.fromhex("f57a3da0")
"""A secp256k1_musig_pubnonce is these bytes and two points, a secp256k1_musig_aggnonce four others and two points."""
POINT_BYTES: Final = 64
"""Size of a secp256k1_pubkey, in which form points are parts of the other structures."""
PAIR_BYTES: Final = 132
SESSION_BYTES: Final = 133
CACHE_BYTES: Final = 197


def write_session(
    session: Any, odd: int, adapted_x: bytes, nonce_coefficient: bytes, challenge: bytes, tweak_part: bytes
) -> None:
    """Fill a secp256k1_musig_session: parity and x of R', b, e, and e * g * tacc, each scalar 32 bytes."""
    data = _SESSION_MAGIC + bytes((odd,)) + adapted_x + nonce_coefficient + challenge + tweak_part
    ffi.memmove(session, data, SESSION_BYTES)


def unit_cache(point: Any, aggregate: Any, keys_hash: bytes = bytes(32)) -> Any:
    """A key aggregation cache in which `point` is the second key, so that its coefficient is 1.

    `aggregate` is a native point with an even y: the library negates secrets by its parity. No tweak.
    """
    cache = ffi.new("secp256k1_musig_keyagg_cache *")
    data = _CACHE_MAGIC + bytes(ffi.buffer(aggregate)) + bytes(ffi.buffer(point)) + keys_hash + bytes(33)
    ffi.memmove(cache, data, CACHE_BYTES)
    return cache


EVEN_POINT: Final[Any] = parse_native(G)
"""The generator, whose y is even: the aggregate of unit caches."""
