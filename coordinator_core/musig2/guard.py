"""Refuses to run on a library whose opaque structures differ from layout.py. Runs when the package is imported."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.musig2.layout import CACHE_BYTES, EVEN_POINT, SESSION_BYTES, unit_cache
from coordinator_core.musig2.pairs import PointPairs
from coordinator_core.musig2.session import Sessions
from coordinator_core.secp256k1.native import NULL, ctx, ffi, lib, require
from coordinator_core.secp256k1.points import generator_mul, parse_native, point_add, scalar_to_bytes, serialize_native


def run() -> None:
    """Compare sessions, caches and pairs written here with the library's own, byte for byte. Raises ImportError."""
    points = [generator_mul(scalar_to_bytes(number)) for number in range(11, 16)]
    key_set = KeySet.aggregate(points[:3]).with_taproot_tweak(b"\x07" * 32)
    aggregated = points[3] + points[4]
    for number in (1, 2, 3):
        item = SigningItem(key_set, bytes((number,)) * 32)
        sessions = Sessions([item], [aggregated])
        if ffi.buffer(sessions.at(0), SESSION_BYTES)[:] != library_session(item, aggregated):
            raise ImportError("libsecp256k1 keeps MuSig2 sessions in an unknown layout")
    for first, second in pairwise(points):
        if not _cache_matches(parse_native(first), parse_native(second)):
            raise ImportError("libsecp256k1 keeps key aggregation caches in an unknown layout")
    if not _pairs_match(points):
        raise ImportError("libsecp256k1 keeps public nonces in an unknown layout")


def library_session(item: SigningItem, aggregated_nonce: bytes) -> bytes:
    """The session of a plain item as nonce_process() writes it."""
    native = ffi.new("secp256k1_musig_aggnonce *")
    require(lib.secp256k1_musig_aggnonce_parse(ctx, native, aggregated_nonce), "parsing a nonce failed")
    session = ffi.new("secp256k1_musig_session *")
    processed = lib.secp256k1_musig_nonce_process(ctx, session, native, item.message, item.key_set.cache)
    require(processed, "processing nonces failed")
    return ffi.buffer(session)[:]


def _cache_matches(first: Any, second: Any) -> bool:
    cache, aggregate = ffi.new("secp256k1_musig_keyagg_cache *"), ffi.new("secp256k1_pubkey *")
    keys = ffi.new("secp256k1_pubkey *[]", [first, second])
    require(lib.secp256k1_musig_pubkey_agg(ctx, NULL, cache, keys, 2), "aggregating keys failed")
    require(lib.secp256k1_musig_pubkey_get(ctx, aggregate, cache), "reading an aggregate key failed")
    expected: bytes = ffi.buffer(cache)[:]
    # The hash of the keys is the one part that signing with coefficient 1 does not read.
    written: bytes = ffi.buffer(unit_cache(second, aggregate, keys_hash=expected[132:164]))[:]
    return len(expected) == CACHE_BYTES and written == expected


def _pairs_match(points: list[bytes]) -> bool:
    """True if a pair made here is the library's public nonce, the sum of two is one of the sums of their points, and
    infinity is told from every other sum.
    """
    native = ffi.new("secp256k1_musig_pubnonce *")
    require(lib.secp256k1_musig_pubnonce_parse(ctx, native, points[0] + points[1]), "parsing a nonce failed")
    pairs = PointPairs.of([parse_native(point) for point in points[:3]])
    written = ffi.buffer(pairs.pair(0))[:] == ffi.buffer(native)[:]
    sums = PointPairs(2)
    sums.write_sum(0, [pairs.pair(0), pairs.negated(0, 1).pair(0)])
    infinite = sums.has_infinity(0, 1)
    sums.write_sum(0, [pairs.pair(0), pairs.pair(1)])
    # The third point is padded with the generator.
    expected = [point_add([points[0], points[2]]), point_add([points[1], serialize_native(EVEN_POINT)])]
    matches = [*map(serialize_native, sums.points)] == expected
    return written and infinite and not sums.has_infinity(0, 1) and matches
