"""The key one signer signs with when it holds several keys of a key set ("collapsed" signing).

With S the held keys it is x = g * gacc * sum over S of a_i * d_i (BIP327's names). A signature share made with x and
one nonce pair is that of a single member plus terms anyone can compute who knows the other held keys. So it is as safe
as ordinary MuSig2 in which those other keys belong to the adversary, for each key of S that the adversary does not
know. With one held key it is exactly BIP327's signer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coordinator_core.errors import InvalidInput
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.secp256k1 import SecretKey, point_add, point_mul, point_negate


def keys_by_point(secret_keys: Sequence[SecretKey]) -> dict[bytes, SecretKey]:
    """Secret keys by their 33-byte public key. Raises InvalidInput for an empty list."""
    if not secret_keys:
        raise InvalidInput("secret keys", "is empty", "give at least one key")
    return {key.public_key: key for key in secret_keys}


def effective_secret(key_set: KeySet, held: Mapping[bytes, SecretKey], field: str) -> SecretKey:
    """The secret x of the held members. Raises InvalidInput, naming `field`, if no member is held."""
    pairs = [(held[m], c) for m, c in zip(key_set.members, key_set.coefficients(), strict=True) if m in held]
    if not pairs:
        raise InvalidInput(field, "holds none of this signer's keys", "leave the item to its signers")
    return SecretKey.linear_combination(pairs, negate=key_set.negates)


def effective_point(key_set: KeySet, signer_keys: Sequence[bytes]) -> bytes:
    """The point of effective_secret() from public keys, 33 bytes. Raises InvalidInput unless all are members."""
    strangers = set(signer_keys).difference(key_set.members)
    if strangers or not signer_keys:
        raise InvalidInput("signer keys", "is not a part of the key set", "give keys of members")
    held = set(signer_keys)
    total = point_add([point_mul(key, key_set.coefficient(key)) for key in key_set.members if key in held])
    return point_negate(total) if key_set.negates else total
