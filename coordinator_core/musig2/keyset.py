"""Key aggregation and tweaks (BIP327 KeyAgg, ApplyTweak; BIP341 taproot tweak).

A KeySet is immutable and public. Keys are sorted by their compressed encoding, as every protocol here does; the
library keeps what it needs in a key aggregation cache, and the two accumulators of the tweaks are kept beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from operator import neg
from typing import Any, Final

from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.secp256k1 import N, sha256, tagged_hash
from coordinator_core.secp256k1.native import NULL, ctx, exact_bytes, ffi, lib, require
from coordinator_core.secp256k1.points import parse_native, scalar_to_bytes, serialize_native

CACHED_KEY_SETS: Final = 1 << 11


class KeySet:
    """An aggregated, possibly tweaked key. Equal key sets compare equal and hash alike.

    `members` are the 33-byte keys in aggregation order, `public_key` is the 33-byte aggregate with its parity and
    `x_only` its 32-byte BIP340 form, both after all tweaks.
    """

    __slots__ = (
        "_coefficients",
        "_hash",
        "_list_hash",
        "_second",
        "_tweaks",
        "cache",
        "even_point",
        "form_confirmed",
        "members",
        "negates",
        "public_key",
        "tweak_term",
        "x_only",
    )

    members: tuple[bytes, ...]
    public_key: bytes
    x_only: bytes
    cache: Any
    """secp256k1_musig_keyagg_cache, never changed once the key set is made."""
    even_point: Any
    """The aggregate with an even y, in the library's form."""
    form_confirmed: bool
    """True once linear_form() was compared with the aggregate that the library made (see forms)."""
    negates: bool
    """True if members' secrets are negated in signing: g * gacc of BIP327 is -1."""
    tweak_term: bytes
    """g * tacc of BIP327: what is added to the aggregate secret, 32 bytes."""

    def __init__(self, members: tuple[bytes, ...], cache: Any, gacc: int, tacc: int, tweaks: bytes) -> None:
        point = ffi.new("secp256k1_pubkey *")
        require(lib.secp256k1_musig_pubkey_get(ctx, point, cache), "reading an aggregate key failed")
        self.members = members
        self.cache = cache
        self.public_key = serialize_native(point)
        self.x_only = self.public_key[1:]
        odd = self.public_key[0] == 3
        if odd:
            require(lib.secp256k1_ec_pubkey_negate(ctx, point), "negating an aggregate key failed")
        self.even_point = point
        sign = -1 if odd else 1
        self.negates = sign * gacc < 0
        self.tweak_term = scalar_to_bytes(sign * tacc)
        self._tweaks = tweaks
        self._list_hash = tagged_hash("KeyAgg list", b"".join(members))
        self._second = next((member for member in members if member != members[0]), None)
        self._hash = hash((members, tweaks))
        self._coefficients: tuple[bytes, ...] | None = None
        self.form_confirmed = False

    @classmethod
    def aggregate(cls, pubkeys: Sequence[bytes], *, refuse_duplicates: bool = False) -> KeySet:
        """Aggregate 33-byte keys, sorted first (BIP327 KeySort and KeyAgg).

        Raises InvalidInput for an empty list or a key that is no point, Refused for a duplicate if that is asked
        for or if the keys cancel out.
        """
        members = tuple(sorted(exact_bytes(key, 33, f"pubkeys[{i}]") for i, key in enumerate(pubkeys)))
        if refuse_duplicates and len(set(members)) != len(members):
            raise Refused("pubkeys", "holds a key twice", "give each signer a key of its own")
        return _aggregate(members)

    @classmethod
    def aggregate_in_order(cls, pubkeys: Sequence[bytes]) -> KeySet:
        """Aggregate 33-byte keys in the order given (BIP327 KeyAgg alone). Raises as aggregate()."""
        return _aggregate(tuple(exact_bytes(key, 33, f"pubkeys[{i}]") for i, key in enumerate(pubkeys)))

    def with_taproot_tweak(self, merkle_root: bytes = b"") -> KeySet:
        """The taproot output key over this internal key (BIP341); an empty root commits to no script.

        Raises InvalidInput for a root of another length than 0 or 32.
        """
        if merkle_root:
            exact_bytes(merkle_root, 32, "merkle root")
        return _tweaked(self, tagged_hash("TapTweak", self.x_only + merkle_root), True)

    def with_tweak(self, tweak: bytes, *, x_only: bool) -> KeySet:
        """This key plus tweak * G, on the x-only or the plain key (BIP327 ApplyTweak). Raises InvalidInput."""
        return _tweaked(self, exact_bytes(tweak, 32, "tweak"), x_only)

    def coefficient(self, member: bytes) -> bytes:
        """The key aggregation coefficient of a member, 32 bytes (BIP327 KeyAggCoeff)."""
        if member == self._second:
            return scalar_to_bytes(1)
        return scalar_to_bytes(int.from_bytes(tagged_hash("KeyAgg coefficient", self._list_hash + member), "big"))

    def coefficients(self) -> tuple[bytes, ...]:
        """The coefficients of all members in their order."""
        if self._coefficients is None:
            self._coefficients = tuple(map(self.coefficient, self.members))
        return self._coefficients

    def linear_form(self) -> tuple[int, Iterable[int]]:
        """(t, c by member in their order) with even aggregate = t*G + sum of c*member; scalars modulo the order."""
        numbers = map(int.from_bytes, self.coefficients())
        return int.from_bytes(self.tweak_term, "big"), map(neg, numbers) if self.negates else numbers

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, KeySet):
            return NotImplemented
        return self.members == other.members and self._tweaks == other._tweaks

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"KeySet({self.public_key.hex()}, {len(self.members)} members)"

    def accumulators(self) -> tuple[int, int, bytes]:
        """(gacc, tacc, digest of the tweaks so far) as BIP327 names them."""
        sign = -1 if self.public_key[0] == 3 else 1
        gacc = -sign if self.negates else sign
        return gacc, sign * int.from_bytes(self.tweak_term, "big") % N, self._tweaks


@lru_cache(maxsize=CACHED_KEY_SETS)
def _aggregate(members: tuple[bytes, ...]) -> KeySet:
    if not members:
        raise InvalidInput("pubkeys", "is empty", "give at least one key")
    points = [parse_native(member, "pubkeys") for member in members]
    cache = ffi.new("secp256k1_musig_keyagg_cache *")
    array = ffi.new("secp256k1_pubkey *[]", points)
    if not lib.secp256k1_musig_pubkey_agg(ctx, NULL, cache, array, len(points)):
        raise Refused("pubkeys", "add up to the point at infinity", "give keys that were not chosen to cancel out")
    return KeySet(members, cache, 1, 0, b"")


@lru_cache(maxsize=CACHED_KEY_SETS)
def _tweaked(key_set: KeySet, tweak: bytes, x_only: bool) -> KeySet:
    value = int.from_bytes(tweak, "big")
    if value >= N:
        raise InvalidInput("tweak", "is not below the group order", "give 32 bytes, below the order")
    cache = ffi.new("secp256k1_musig_keyagg_cache *", key_set.cache[0])
    add = lib.secp256k1_musig_pubkey_xonly_tweak_add if x_only else lib.secp256k1_musig_pubkey_ec_tweak_add
    if not add(ctx, NULL, cache, tweak):
        raise Refused("tweak", "gives the point at infinity", "give another tweak")
    gacc, tacc, history = key_set.accumulators()
    sign = -1 if x_only and key_set.public_key[0] == 3 else 1
    history = sha256(history + bytes((x_only,)) + tweak)
    return KeySet(key_set.members, cache, sign * gacc, (value + sign * tacc) % N, history)
