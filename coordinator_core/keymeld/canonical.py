"""The digest that every signed object of generation A is signed by, and its signatures.

Source: keymeld sections 1.1 and 1.2. A payload is built from our own typed values in declared member order,
never from received JSON.
"""

from __future__ import annotations

import json

from coordinator_core.errors import Fault, InvalidSignature
from coordinator_core.secp256k1 import SecretKey, ecdsa_sign, ecdsa_verify, sha256

_PREFIX = b"keymeld-authorization-v1"


def integers(octets: bytes) -> list[int]:
    """Bytes as the protocol's JSON writes them: an array of integers 0 to 255."""
    return list(octets)


def canonical_json(payload: object) -> bytes:
    """Compact JSON in UTF-8; members stand in the order of the given dicts."""
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def authorization_digest(domain: str, payload: object) -> bytes:
    """The 32 bytes that are signed for `payload` (JSON-ready, in declared order) in `domain`."""
    name, body = domain.encode(), canonical_json(payload)
    return sha256(_PREFIX + _sized(name) + _sized(body))


def sign_authorization(domain: str, payload: object, key: SecretKey) -> bytes:
    """ECDSA over the digest: 64 bytes compact, low S, RFC 6979."""
    return ecdsa_sign(authorization_digest(domain, payload), key)


def verify_authorization(
    domain: str, payload: object, signature: bytes, public_key: bytes, *, fault: Fault = Fault.COORDINATOR
) -> None:
    """Raises InvalidSignature, naming the domain, unless `public_key` (33 bytes) signed the payload."""
    if not ecdsa_verify(signature, authorization_digest(domain, payload), public_key):
        raise InvalidSignature(f"keymeld {domain}", fault=fault)


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(8, "big") + data
