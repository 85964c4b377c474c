"""ECDSA signatures, 64 bytes compact (r || s), low S, with deterministic nonces (RFC 6979)."""

from __future__ import annotations

from typing import Any

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1.keys import SecretKey
from coordinator_core.secp256k1.native import NULL, ctx, exact_bytes, ffi, is_bytes, lib, require
from coordinator_core.secp256k1.points import serialize_native


def ecdsa_sign(message: bytes, secret: SecretKey) -> bytes:
    """Sign a 32-byte digest: 64 bytes compact, low S, verified before it is returned. Raises InvalidInput."""
    return ecdsa_sign_recoverable(message, secret)[0]


def ecdsa_verify(signature: bytes, message: bytes, point: bytes) -> bool:
    """True if the compact signature over the 32-byte digest is valid and low S; malformed input is False."""
    if not is_bytes(signature, 64) or not is_bytes(message, 32) or not is_bytes(point, 33):
        return False
    native = ffi.new("secp256k1_pubkey *")
    parsed = ffi.new("secp256k1_ecdsa_signature *")
    return bool(
        lib.secp256k1_ec_pubkey_parse(ctx, native, point, 33)
        and lib.secp256k1_ecdsa_signature_parse_compact(ctx, parsed, signature)
        and lib.secp256k1_ecdsa_verify(ctx, parsed, message, native)
    )


def ecdsa_sign_recoverable(message: bytes, secret: SecretKey) -> tuple[bytes, int]:
    """Sign a 32-byte digest: (64 bytes compact, recovery id 0 to 3). Raises InvalidInput."""
    exact_bytes(message, 32, "message")
    native = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    require(
        lib.secp256k1_ecdsa_sign_recoverable(ctx, native, message, secret.pointer, NULL, NULL),
        "signing failed",
    )
    output = ffi.new("unsigned char[64]")
    recovery_id = ffi.new("int *")
    lib.secp256k1_ecdsa_recoverable_signature_serialize_compact(ctx, output, recovery_id, native)
    signature = bytes(ffi.buffer(output))
    require(
        ecdsa_verify(signature, message, secret.public_key),
        "a fresh signature did not verify: faulty hardware",
    )
    return signature, int(recovery_id[0])


def ecdsa_recover(message: bytes, signature: bytes, recovery_id: int) -> bytes:
    """The 33-byte key that made a compact signature over a 32-byte digest. Raises InvalidInput."""
    exact_bytes(message, 32, "message")
    native = _parse_recoverable(signature, recovery_id)
    point = ffi.new("secp256k1_pubkey *")
    if not lib.secp256k1_ecdsa_recover(ctx, point, native, message):
        raise InvalidInput("signature", "recovers to no key", "give a signature made over this digest")
    return serialize_native(point)


def _parse_recoverable(signature: bytes, recovery_id: int) -> Any:
    exact_bytes(signature, 64, "signature")
    if recovery_id not in (0, 1, 2, 3):
        raise InvalidInput("recovery id", f"is {recovery_id!r}", "give 0, 1, 2 or 3")
    native = ffi.new("secp256k1_ecdsa_recoverable_signature *")
    if not lib.secp256k1_ecdsa_recoverable_signature_parse_compact(ctx, native, signature, recovery_id):
        raise InvalidInput("signature", "r or s is out of range", "give 64 bytes, r and s below the group order")
    return native
