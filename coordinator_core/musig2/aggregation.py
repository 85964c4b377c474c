"""What the coordinator of a session does: aggregates nonces and partial signatures, and finds who sent a bad one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from coordinator_core.errors import InvalidInput, InvalidSignature
from coordinator_core.musig2.effective import effective_point
from coordinator_core.musig2.equations import ORDER
from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.layout import EVEN_POINT, unit_cache
from coordinator_core.musig2.session import Sessions, tweak_part
from coordinator_core.musig2.verification import verify_table
from coordinator_core.secp256k1.native import N, ctx, exact_bytes, ffi, lib, require
from coordinator_core.secp256k1.points import parse_native


def aggregate_nonces(nonces: Sequence[bytes]) -> bytes:
    """The sum of the signers' public nonces for one item (BIP327 NonceAgg), 66 bytes each.

    A half that cancels out is 33 zero bytes. Raises InvalidInput for an empty list or a nonce that is not two points.
    """
    if not nonces:
        raise InvalidInput("nonces", "is empty", "give one a signer")
    parsed = [_parse_public_nonce(nonce, f"nonces[{index}]") for index, nonce in enumerate(nonces)]
    native = ffi.new("secp256k1_musig_aggnonce *")
    array = ffi.new("secp256k1_musig_pubnonce *[]", parsed)
    require(lib.secp256k1_musig_nonce_agg(ctx, native, array, len(parsed)), "aggregating nonces failed")
    output = ffi.new("unsigned char[66]")
    require(lib.secp256k1_musig_aggnonce_serialize(ctx, output, native), "serializing a nonce failed")
    return ffi.buffer(output)[:]


def aggregate_signatures(
    items: Sequence[SigningItem],
    aggregated_nonces: Sequence[bytes],
    partials: Sequence[Sequence[bytes]],
    *,
    threads: int = 1,
) -> list[bytes]:
    """A signature an item (64 or 65 bytes) from the partial signatures of all its signers; every one is verified.

    `partials[i]` holds 32 bytes a signer for item i. Raises InvalidInput for malformed input, InvalidSignature with the
    index of the first item whose sum does not verify; verify_partial() then tells which signer is at fault.
    """
    items = tuple(items)
    if len(partials) != len(items):
        raise InvalidInput("partials", f"are {len(partials)} for {len(items)} items", "give one list an item")
    table = Sessions(items, aggregated_nonces, threads=threads).table
    for index, (item, shares) in enumerate(zip(items, partials, strict=True)):
        total = int.from_bytes(tweak_part(item.key_set, table.challenges[index]), "big")
        for signer, share in enumerate(shares):
            total += _scalar(share, f"partials[{index}][{signer}]")
        table.scalars[index] = (total % N).to_bytes(32, "big")
    verify_table(table, len(items), threads)
    return table.signatures()


def verify_partial(
    item: SigningItem, aggregated_nonce: bytes, public_nonce: bytes, partial: bytes, signer_keys: Sequence[bytes]
) -> None:
    """Check one signer's partial signature (BIP327 PartialSigVerify).

    `signer_keys` are the 33-byte keys of the key set that this signer signs for: one, or all those it holds. Raises
    InvalidSignature, or InvalidInput for malformed nonces and keys.
    """
    session = Sessions([item], [aggregated_nonce])
    nonce = _parse_public_nonce(public_nonce, "public nonce")
    point = parse_native(effective_point(item.key_set, signer_keys))
    native = ffi.new("secp256k1_musig_partial_sig *")
    if exact_bytes(partial, 32, "partial") >= ORDER:
        raise InvalidSignature("partial signature", "is not below the group order")
    require(lib.secp256k1_musig_partial_sig_parse(ctx, native, partial), "parsing a share failed")
    cache = unit_cache(point, EVEN_POINT)
    if not lib.secp256k1_musig_partial_sig_verify(ctx, native, nonce, point, cache, session.at(0)):
        raise InvalidSignature("partial signature")


def _parse_public_nonce(nonce: bytes, field: str) -> Any:
    exact_bytes(nonce, 66, field)
    native = ffi.new("secp256k1_musig_pubnonce *")
    if not lib.secp256k1_musig_pubnonce_parse(ctx, native, nonce):
        raise InvalidInput(field, "is not two points of the curve", "give 66 bytes")
    return native


def _scalar(share: bytes, field: str) -> int:
    if exact_bytes(share, 32, field) >= ORDER:
        raise InvalidInput(field, "is not below the group order", "give 32 bytes, below the order")
    return int.from_bytes(share, "big")
