"""Signing with a secret nonce from a vector: the product never lets one in, so tests write the native structure."""

from collections.abc import Callable
from typing import Any

import pytest

from coordinator_core.musig2.effective import effective_secret
from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.layout import EVEN_POINT, unit_cache
from coordinator_core.musig2.multi import serialize_partial
from coordinator_core.musig2.session import Sessions
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secp256k1.native import ctx, ffi, lib
from coordinator_core.secp256k1.points import parse_native

SECRET_NONCE_MAGIC = bytes.fromhex("220edcf1")


def _native_nonce(scalars: bytes, public_key: bytes) -> Any:
    nonce = ffi.new("secp256k1_musig_secnonce *")
    data = SECRET_NONCE_MAGIC + scalars + ffi.buffer(parse_native(public_key))[:]
    assert len(data) == ffi.sizeof("secp256k1_musig_secnonce")
    ffi.memmove(nonce, data, len(data))
    return nonce


def _sign(key: SecretKey, scalars: bytes, cache: Any, session: Any) -> bytes | None:
    partial = ffi.new("secp256k1_musig_partial_sig *")
    nonce = _native_nonce(scalars, key.public_key)
    signed = lib.secp256k1_musig_partial_sign(ctx, partial, nonce, key.keypair, cache, session)
    return serialize_partial(partial) if signed else None


@pytest.fixture
def sign_with_nonce() -> Callable[[SigningItem, SecretKey, bytes, bytes], bytes | None]:
    """(item, key, k1 || k2, aggregated nonce) -> partial signature, or None where the library refuses.

    Signs as the library does with the key itself, and as MultiSigner does with its effective key: both must agree.
    """

    def sign(item: SigningItem, key: SecretKey, scalars: bytes, aggregated: bytes) -> bytes | None:
        sessions = Sessions([item], [aggregated])
        ordinary = _sign(key, scalars, item.key_set.cache, sessions.at(0))
        effective = effective_secret(item.key_set, {key.public_key: key}, "key")
        cache = unit_cache(parse_native(effective.public_key), EVEN_POINT)
        assert ordinary == _sign(effective, scalars, cache, sessions.at(0))
        return ordinary

    return sign
