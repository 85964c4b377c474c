"""Secret keys in native memory: tweaked and negated in constant time, wiped, never printed or copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

from coordinator_core.errors import InvalidInput, Misuse
from coordinator_core.secp256k1.hashes import tagged_hash
from coordinator_core.secp256k1.native import (
    SecretMemory,
    ctx,
    exact_bytes,
    ffi,
    fill_random,
    lib,
    require,
)
from coordinator_core.secp256k1.points import parse_native, serialize_native


class SecretKey:
    """A scalar from 1 to N-1 in native memory.

    Bytes given to from_bytes() stay with the caller; generate() leaves no copy behind. Comparing and hashing
    are left out on purpose: compare public keys.

    >>> SecretKey.generate()
    ***
    """

    __slots__ = ("_keypair", "_memory", "_public_key")

    def __init__(self, memory: SecretMemory, field: str = "secret key") -> None:
        if not lib.secp256k1_ec_seckey_verify(ctx, memory.pointer):
            memory.wipe()
            raise InvalidInput(field, "is not a scalar of the group", "give 32 bytes, from 1 to the order minus 1")
        self._memory = memory
        self._keypair: SecretMemory | None = None
        self._public_key: bytes | None = None

    @classmethod
    def from_bytes(cls, secret: bytes | bytearray, field: str = "secret key") -> SecretKey:
        """A key from 32 bytes big-endian. Raises InvalidInput, which never shows the bytes."""
        if isinstance(secret, bytearray) and len(secret) == 32:
            return cls._from_memory(secret, field)
        return cls._from_memory(exact_bytes(secret, 32, field), field)

    @classmethod
    def _from_memory(cls, source: Any, field: str = "secret key") -> SecretKey:
        memory = SecretMemory("unsigned char[32]")
        ffi.memmove(memory.pointer, source, 32)
        return cls(memory, field)

    @classmethod
    def generate(cls) -> SecretKey:
        """A fresh key from the system's generator."""
        memory = SecretMemory("unsigned char[32]")
        fill_random(memory.pointer, 32)
        while not lib.secp256k1_ec_seckey_verify(ctx, memory.pointer):
            fill_random(memory.pointer, 32)
        return cls(memory)

    @property
    def public_key(self) -> bytes:
        """The point, 33 bytes."""
        if self._public_key is None:
            native = ffi.new("secp256k1_pubkey *")
            require(lib.secp256k1_ec_pubkey_create(ctx, native, self.pointer), "deriving a public key failed")
            self._public_key = serialize_native(native)
        return self._public_key

    @property
    def x_only(self) -> bytes:
        """The BIP340 public key, 32 bytes."""
        return self.public_key[1:]

    @property
    def pointer(self) -> Any:
        """32 bytes of native memory, valid while this key is alive. Raises Misuse after wipe()."""
        return self._memory.pointer

    @property
    def keypair(self) -> Any:
        """The library's keypair, kept and wiped with the key. Raises Misuse after wipe()."""
        if self._keypair is None:
            keypair = SecretMemory("secp256k1_keypair *")
            require(lib.secp256k1_keypair_create(ctx, keypair.pointer, self.pointer), "a keypair failed")
            self._keypair = keypair
        return self._keypair.pointer

    def reveal(self) -> bytes:
        """The 32 bytes, in a copy that cannot be wiped. Raises Misuse after wipe()."""
        return bytes(ffi.buffer(self.pointer))

    def wipe(self) -> None:
        """Overwrite the key; every later use of the secret raises Misuse."""
        self._memory.wipe()
        if self._keypair is not None:
            self._keypair.wipe()

    def negated(self) -> SecretKey:
        """The key of the negated point."""
        result = self._from_memory(self.pointer)
        require(lib.secp256k1_ec_seckey_negate(ctx, result.pointer), "negating a secret key failed")
        return result

    def with_even_y(self) -> SecretKey:
        """A key whose point has an even y and the same x (BIP340)."""
        return self.negated() if self.public_key[0] == 3 else self._from_memory(self.pointer)

    def tweaked(self, tweak: bytes) -> SecretKey:
        """key + tweak mod N. Raises InvalidInput for a tweak of N or more, or a sum of zero."""
        exact_bytes(tweak, 32, "tweak")
        result = self._from_memory(self.pointer)
        if not lib.secp256k1_ec_seckey_tweak_add(ctx, result.pointer, tweak):
            raise InvalidInput(
                "tweak", "gives no valid key", "give 32 bytes below the order that do not cancel the key"
            )
        return result

    def multiplied(self, factor: bytes) -> SecretKey:
        """key * factor mod N. Raises InvalidInput unless the factor is from 1 to N-1."""
        exact_bytes(factor, 32, "factor")
        result = self._from_memory(self.pointer)
        if not lib.secp256k1_ec_seckey_tweak_mul(ctx, result.pointer, factor):
            raise InvalidInput("factor", "is not a scalar of the group", "give 32 bytes, from 1 to the order minus 1")
        return result

    def plus(self, other: SecretKey) -> SecretKey:
        """key + other mod N, both secret. Raises InvalidInput when they cancel out."""
        result = self._from_memory(self.pointer)
        if not lib.secp256k1_ec_seckey_tweak_add(ctx, result.pointer, other.pointer):
            raise InvalidInput("other", "cancels the key", "give another key")
        return result

    @classmethod
    def linear_combination(cls, terms: Sequence[tuple[SecretKey, bytes]], *, negate: bool = False) -> SecretKey:
        """The sum of key * factor mod N, its negation if asked. Factors are public, 32 bytes, from 1 to N-1.

        Raises InvalidInput for another factor, an empty list or terms that cancel out.
        """
        total = SecretMemory("unsigned char[32]")
        with SecretMemory("unsigned char[32]") as product:
            for index, (key, factor) in enumerate(terms):
                ffi.memmove(product, key.pointer, 32)
                if not lib.secp256k1_ec_seckey_tweak_mul(ctx, product, exact_bytes(factor, 32, "factor")):
                    fix = "give 32 bytes, from 1 to the order minus 1"
                    raise InvalidInput("factor", "is not a scalar of the group", fix)
                if index == 0:
                    ffi.memmove(total.pointer, product, 32)
                elif not lib.secp256k1_ec_seckey_tweak_add(ctx, total.pointer, product):
                    raise InvalidInput("terms", "cancel out", "give other keys")
        if negate:
            lib.secp256k1_ec_seckey_negate(ctx, total.pointer)
        return cls(total, "terms")

    def taproot_tweaked(self, merkle_root: bytes = b"") -> SecretKey:
        """The secret of the taproot output key (BIP341); an empty root: no script. Raises InvalidInput."""
        if merkle_root:
            exact_bytes(merkle_root, 32, "merkle root")
        even = self.with_even_y()
        result = even.tweaked(tagged_hash("TapTweak", self.x_only + merkle_root))
        even.wipe()
        return result

    def __repr__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        raise Misuse("secret keys are not compared; compare their public keys")

    __hash__ = None  # type: ignore[assignment]

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise Misuse("a secret cannot be copied or pickled")


def ecdh_x(point: bytes, secret: SecretKey) -> bytes:
    """The raw x coordinate of secret * point, 32 bytes, itself a secret. Raises InvalidInput."""
    native = parse_native(point)
    with SecretMemory("unsigned char[64]") as shared:
        require(
            lib.secp256k1_ecdh(
                ctx, shared, native, secret.pointer, lib.btclib_secp256k1_ecdh_hash_function_xy, ffi.NULL
            ),
            "a Diffie-Hellman exchange failed",
        )
        return bytes(ffi.buffer(shared, 32))
