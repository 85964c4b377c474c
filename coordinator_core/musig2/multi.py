"""One of several signers: it holds some keys of each key set and makes nonces, then partial signatures (BIP327)."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple, NoReturn

from coordinator_core.errors import Misuse
from coordinator_core.musig2.effective import effective_secret, keys_by_point
from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.layout import EVEN_POINT, unit_cache
from coordinator_core.musig2.parallel import in_slices
from coordinator_core.musig2.session import Sessions
from coordinator_core.secp256k1 import SecretKey, sha256
from coordinator_core.secp256k1.native import NULL, SecretMemory, ctx, ffi, fill_random, lib, require
from coordinator_core.secp256k1.points import parse_native


class MultiSigner:
    """Signs one list of items once, with all the keys it holds of each key set under one nonce pair.

    The items are fixed by nonces() and cannot be exchanged later; sign() takes nothing but aggregated nonces and works
    once. A signer that was interrupted starts again with a new object: nonces are never stored or restored.
    """

    def __init__(self, secret_keys: Sequence[SecretKey]) -> None:
        self._held = keys_by_point(secret_keys)
        self._started = False
        self._round: _Round | None = None
        self._lock = threading.Lock()
        self._process = os.getpid()

    def nonces(self, items: Sequence[SigningItem], *, threads: int = 1) -> list[bytes]:
        """A public nonce an item, 66 bytes each.

        Raises Misuse on a second call, InvalidInput for an item whose key set holds none of this signer's keys.
        """
        with self._lock:
            started, self._started = self._started, True
        if started:
            raise Misuse("a signer makes nonces once; a new session needs a new signer")
        items = tuple(items)
        keys: dict[int, _EffectiveKey] = {}
        for index, item in enumerate(items):
            if id(item.key_set) not in keys:
                secret = effective_secret(item.key_set, self._held, f"items[{index}].key_set")
                keys[id(item.key_set)] = _EffectiveKey.of(secret)
        secret_nonces = SecretMemory("secp256k1_musig_secnonce[]", max(1, len(items)))
        signing = self._round = _Round(items, keys, secret_nonces)
        public_nonces: list[bytes] = [b""] * len(items)
        in_slices(lambda start, end: _make_nonces(signing, public_nonces, start, end), len(items), threads)
        return public_nonces

    def sign(self, aggregated_nonces: Sequence[bytes], *, threads: int = 1) -> list[bytes]:
        """A partial signature an item, 32 bytes each, for the aggregated nonces (66 bytes each) in the same order.

        The nonces are gone afterwards, also when it raises: Misuse before nonces() or on a second call, InvalidInput
        for aggregated nonces that are malformed.
        """
        signing = self._take()
        if signing is None:
            raise Misuse("this signer holds no unused nonces")
        partials: list[bytes] = [b""] * len(signing.items)
        try:
            sessions = Sessions(signing.items, aggregated_nonces, threads=threads)
            for index, item in enumerate(signing.items):
                nonce = signing.secret_nonces.pointer + index
                partials[index] = _sign(nonce, signing.keys[id(item.key_set)], sessions.at(index))
        finally:
            signing.wipe()
        return partials

    def abort(self) -> None:
        """Wipe the nonces; sign() raises Misuse from now on."""
        signing = self._take()
        if signing is not None:
            signing.wipe()

    def _take(self) -> _Round | None:
        # Two threads, or a process and its fork, that both got hold of the nonces could sign with them twice, which
        # reveals the key.
        if os.getpid() != self._process:
            raise Misuse("nonces made before a fork sign in the process that made them")
        with self._lock:
            signing, self._round = self._round, None
            return signing

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise Misuse("a signer cannot be copied or pickled: its nonces sign once")


class _EffectiveKey(NamedTuple):
    secret: SecretKey
    point: Any
    cache: Any

    @classmethod
    def of(cls, secret: SecretKey) -> _EffectiveKey:
        point = parse_native(secret.public_key)
        return cls(secret, point, unit_cache(point, EVEN_POINT))


class _Round(NamedTuple):
    items: tuple[SigningItem, ...]
    keys: dict[int, _EffectiveKey]
    secret_nonces: SecretMemory

    def wipe(self) -> None:
        self.secret_nonces.wipe()
        for key in self.keys.values():
            key.secret.wipe()


def _make_nonces(signing: _Round, public_nonces: list[bytes], start: int, end: int) -> None:
    output = ffi.new("unsigned char[66]")
    view = ffi.buffer(output)
    public_nonce = ffi.new("secp256k1_musig_pubnonce *")
    secret_nonces = signing.secret_nonces.pointer
    with SecretMemory("unsigned char[]", 32 * max(1, end - start)) as seeds:
        fill_random(seeds, 32 * (end - start))
        for index in range(start, end):
            item = signing.items[index]
            key = signing.keys[id(item.key_set)]
            seed = seeds + 32 * (index - start)
            generate_nonce(secret_nonces + index, public_nonce, seed, key.secret, key.point, item)
            serialized = lib.secp256k1_musig_pubnonce_serialize(ctx, output, public_nonce)
            require(serialized, "serializing a nonce failed")
            public_nonces[index] = view[:]


def generate_nonce(
    secret_nonce: Any, public_nonce: Any, seed: Any, secret: SecretKey, point: Any, item: SigningItem
) -> None:
    """BIP327 NonceGen into native memory, bound to key, message, aggregate key and adaptor point.

    `seed` is 32 random bytes in native memory, used once: the library zeroes them.
    """
    extra = NULL if item.adaptor_point is None else sha256(item.adaptor_point)
    made = lib.secp256k1_musig_nonce_gen(
        ctx, secret_nonce, public_nonce, seed, secret.pointer, point, item.message, item.key_set.cache, extra
    )
    require(made, "making a nonce failed")


def _sign(secret_nonce: Any, key: _EffectiveKey, session: Any) -> bytes:
    partial = ffi.new("secp256k1_musig_partial_sig *")
    # The library zeroes the secret nonce first and refuses one that is zero: a nonce cannot sign twice.
    signed = lib.secp256k1_musig_partial_sign(ctx, partial, secret_nonce, key.secret.keypair, key.cache, session)
    require(signed, "a nonce was used twice or does not belong to this key")
    return serialize_partial(partial)


def serialize_partial(partial: Any) -> bytes:
    """32 bytes of a partial signature in the library's form."""
    output = ffi.new("unsigned char[32]")
    require(lib.secp256k1_musig_partial_sig_serialize(ctx, output, partial), "serializing a share failed")
    return ffi.buffer(output)[:]
