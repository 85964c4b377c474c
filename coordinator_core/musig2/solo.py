"""Signing where one process holds every key of a key set: with the aggregate secret, one nonce a message.

The signatures are the same as those of a MuSig2 session. It is right only where that process holds all the keys
anyway; keys must not be moved together to use it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from coordinator_core.errors import InvalidInput
from coordinator_core.musig2.coefficients import FAULT_BITS
from coordinator_core.musig2.effective import effective_secret, keys_by_point
from coordinator_core.musig2.equations import EquationTable, NoncePoint
from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.keyset import KeySet
from coordinator_core.musig2.parallel import in_slices
from coordinator_core.musig2.verification import verify_table
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secp256k1.native import SecretMemory, ctx, ffi, fill_random, lib, require

_NONCE_TAG: Final = b"Coordinator/solo-nonce"


class SoloSigner:
    """Signs alone for key sets of which it holds every key.

    The nonce is BIP340's, hedged with fresh randomness, over key, message and adaptor point: the same message may be
    signed under several adaptor points, and each must get another nonce.
    """

    def __init__(self, secret_keys: Sequence[SecretKey]) -> None:
        self._held = keys_by_point(secret_keys)

    def sign(self, items: Sequence[SigningItem], *, threads: int = 1, check: bool = True) -> list[bytes]:
        """A signature an item: 64 bytes, or 65 for an adaptor signature.

        All are verified before any is returned, against faults of the machine; `check=False` leaves that to a caller
        who verifies them before they leave the process. Raises InvalidInput if a key of a key set is missing.
        """
        items = tuple(items)
        table = EquationTable(items)
        key_sets = {id(item.key_set): item.key_set for item in items}
        secrets = {key: self._aggregate_secret(key_set) for key, key_set in key_sets.items()}
        try:
            pointers = {key: secret.pointer for key, secret in secrets.items()}
            in_slices(lambda start, end: _sign_slice(table, pointers, start, end), len(items), threads)
        finally:
            for secret in secrets.values():
                secret.wipe()
        if check:
            verify_table(table, len(items), threads, bits=FAULT_BITS)
        return table.signatures()

    def _aggregate_secret(self, key_set: KeySet) -> SecretKey:
        missing = [member for member in key_set.members if member not in self._held]
        if missing:
            raise InvalidInput("secret keys", f"lack {missing[0].hex()}", "sign together with its holder")
        secret = effective_secret(key_set, self._held, "key set")
        if not any(key_set.tweak_term):
            return secret
        tweaked = secret.tweaked(key_set.tweak_term)
        secret.wipe()
        return tweaked


def _sign_slice(table: EquationTable, secrets: Mapping[int, Any], start: int, end: int) -> None:
    nonce_point = NoncePoint(table)
    items, nonces, scalars = table.items, table.nonces, table.scalars
    with (
        SecretMemory("unsigned char[]", 32 * max(1, end - start)) as randomness,
        SecretMemory("unsigned char[32]") as nonce,
        SecretMemory("unsigned char[32]") as product,
    ):
        fill_random(randomness, 32 * (end - start))
        product_view = ffi.buffer(product)
        for index in range(start, end):
            item, point = items[index], nonces[index]
            secret = secrets[id(item.key_set)]
            _make_nonce(nonce, point, secret, item, randomness + 32 * (index - start))
            if not nonce_point.fill(index, item, point):
                raise InvalidInput(f"items[{index}].adaptor_point", "cancels the nonce", "sign again")
            _make_scalar(product, secret, nonce, table.challenges[index], table.odd[index])
            scalars[index] = product_view[:]


def _make_nonce(nonce: Any, point: Any, secret: Any, item: SigningItem, randomness: Any) -> None:
    """Fill a secret nonce and its point."""
    data = item.message if item.adaptor_point is None else item.message + item.adaptor_point
    made = lib.secp256k1_nonce_function_bip340(
        nonce, data, len(data), secret, item.key_set.x_only, _NONCE_TAG, len(_NONCE_TAG), randomness
    )
    require(made and lib.secp256k1_ec_pubkey_create(ctx, point, nonce), "making a nonce failed")


def _make_scalar(product: Any, secret: Any, nonce: Any, challenge: bytes, odd: int) -> None:
    """product = (+-)nonce + challenge * secret, in the library's constant-time arithmetic."""
    if odd:
        require(lib.secp256k1_ec_seckey_negate(ctx, nonce), "negating a nonce failed")
    ffi.memmove(product, secret, 32)
    multiplied = lib.secp256k1_ec_seckey_tweak_mul(ctx, product, challenge)
    require(multiplied and lib.secp256k1_ec_seckey_tweak_add(ctx, product, nonce), "signing failed")
