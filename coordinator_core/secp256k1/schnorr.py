"""BIP340 signatures, 64 bytes. Every signature is verified before it is handed out."""

from __future__ import annotations

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1.keys import SecretKey
from coordinator_core.secp256k1.native import (
    SecretMemory,
    ctx,
    exact_bytes,
    ffi,
    fill_random,
    is_bytes,
    lib,
    require,
)


def schnorr_sign(message: bytes, secret: SecretKey, aux: bytes | None = None) -> bytes:
    """A BIP340 signature over a message (32 bytes in Bitcoin, any length in BIP340).

    `aux` is 32 bytes of auxiliary randomness; None draws it from the system. Raises InvalidInput.
    """
    if not is_bytes(message):
        raise InvalidInput("message", f"is {type(message).__name__}", "give bytes")
    signature = ffi.new("unsigned char[64]")
    with SecretMemory("unsigned char[32]") as randomness:
        if aux is None:
            fill_random(randomness, 32)
        else:
            ffi.memmove(randomness, exact_bytes(aux, 32, "aux"), 32)
        extra = ffi.new("secp256k1_schnorrsig_extraparams *")
        extra.magic = b"\xda\x6f\xb3\x8c"
        extra.noncefp = ffi.NULL
        extra.ndata = randomness
        require(
            lib.secp256k1_schnorrsig_sign_custom(ctx, signature, message, len(message), secret.keypair, extra),
            "signing failed",
        )
    result = bytes(ffi.buffer(signature))
    require(schnorr_verify(result, message, secret.x_only), "a fresh signature did not verify: faulty hardware")
    return result


def schnorr_verify(signature: bytes, message: bytes, x_only: bytes) -> bool:
    """True if BIP340 accepts it. Malformed input, also a key off the curve, is False."""
    if not is_bytes(signature, 64) or not is_bytes(x_only, 32) or not is_bytes(message):
        return False
    native = ffi.new("secp256k1_xonly_pubkey *")
    if not lib.secp256k1_xonly_pubkey_parse(ctx, native, x_only):
        return False
    return bool(lib.secp256k1_schnorrsig_verify(ctx, signature, message, len(message), native))
