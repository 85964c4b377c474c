"""Known answers, checked at import: a library that computes something else must not be used with money."""

from __future__ import annotations

from coordinator_core.secp256k1.ecdsa import ecdsa_recover, ecdsa_sign_recoverable
from coordinator_core.secp256k1.keys import SecretKey, ecdh_x
from coordinator_core.secp256k1.points import G, generator_mul, point_add, point_mul
from coordinator_core.secp256k1.schnorr import schnorr_sign, schnorr_verify

# BIP340's vector 0: the secret key 3, and zeroes as message and auxiliary randomness.
_KEY = bytes(31) + b"\x03"
_SIGNATURE = bytes.fromhex(
    "e907831f80848d1069a5371b402410364bdf1c5f8307b0084c55f1ce2dca8215"
    "25f66a4a85ea8b71e482a74f382d2ce5ebeee8fdb2172f477df4900d310536c0"
)


def run() -> None:
    """Raise ImportError unless arithmetic, BIP340, recovery and Diffie-Hellman give the known answers."""
    secret = SecretKey.from_bytes(_KEY)
    zero = bytes(32)
    signature, recovery_id = ecdsa_sign_recoverable(zero, secret)
    checks = {
        "multiplication": generator_mul(_KEY) == secret.public_key == point_mul(G, _KEY),
        "addition": point_add([G, G, G]) == secret.public_key,
        "BIP340 signing": schnorr_sign(zero, secret, zero) == _SIGNATURE,
        "BIP340 verification": not schnorr_verify(_SIGNATURE, b"\x01" * 32, secret.x_only),
        "ECDSA recovery": ecdsa_recover(zero, signature, recovery_id) == secret.public_key,
        "Diffie-Hellman": ecdh_x(G, secret) == secret.x_only,
    }
    failed = [name for name, passed in checks.items() if not passed]
    if failed:
        raise ImportError(f"libsecp256k1 fails its self-test: {', '.join(failed)}")
