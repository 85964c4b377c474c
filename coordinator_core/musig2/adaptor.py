"""Adaptor signatures: completed with the secret of the adaptor point, which the completed signature then reveals."""

from __future__ import annotations

from coordinator_core.errors import InvalidInput, VerificationFailed
from coordinator_core.musig2.equations import ORDER
from coordinator_core.secp256k1.native import N, exact_bytes
from coordinator_core.secp256k1.points import (
    generator_mul,
    parse_point,
    point_add,
    scalar_from_bytes,
    scalar_to_bytes,
)


def adapt(adaptor_signature: bytes, secret: bytes) -> bytes:
    """The BIP340 signature (64 bytes) from an adaptor signature (65) and its point's secret (32, public by now).

    The secret is not compared with any adaptor point: verify the result. Raises InvalidInput for malformed input.
    """
    nonce, scalar = _split(adaptor_signature)
    t = scalar_from_bytes(secret, "adaptor secret")
    adapted = point_add([nonce, generator_mul(secret)])
    s = scalar - t if adapted[0] == 3 else scalar + t
    return adapted[1:] + scalar_to_bytes(s)


def extract(adaptor_signature: bytes, signature: bytes, adaptor_point: bytes) -> bytes:
    """The secret (32 bytes) of the adaptor point (33) from an adaptor signature (65) and its completion (64).

    Raises VerificationFailed if the two do not belong together, InvalidInput for malformed input.
    """
    _, scalar = _split(adaptor_signature)
    parse_point(adaptor_point, "adaptor point")
    final = int.from_bytes(exact_bytes(signature, 64, "signature")[32:], "big")
    difference = (final - scalar) % N
    for candidate in (difference, N - difference):
        if 0 < candidate < N and generator_mul(scalar_to_bytes(candidate)) == adaptor_point:
            return scalar_to_bytes(candidate)
    raise VerificationFailed("adaptor secret", "the signature does not complete this adaptor signature")


def _split(adaptor_signature: bytes) -> tuple[bytes, int]:
    exact_bytes(adaptor_signature, 65, "adaptor signature")
    nonce = parse_point(adaptor_signature[:33], "adaptor signature")
    if adaptor_signature[33:] >= ORDER:
        raise InvalidInput("adaptor signature", "its scalar is not below the group order", "give R || s, 65 bytes")
    return nonce, int.from_bytes(adaptor_signature[33:], "big")
