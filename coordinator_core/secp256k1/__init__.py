"""The curve: scalars, points, Schnorr, ECDSA and tweaks over libsecp256k1. Only `native` touches the library.

Points are 33 bytes compressed, x-only keys and public scalars 32 bytes big-endian, secrets are SecretKey. A
public function given bytes of the wrong shape raises InvalidInput naming the argument.
"""

from coordinator_core.secp256k1.ecdsa import (
    ecdsa_recover,
    ecdsa_sign,
    ecdsa_sign_recoverable,
    ecdsa_verify,
)
from coordinator_core.secp256k1.hashes import sha256, tagged_hash
from coordinator_core.secp256k1.keys import SecretKey, ecdh_x
from coordinator_core.secp256k1.native import N
from coordinator_core.secp256k1.points import (
    G,
    generator_mul,
    has_odd_y,
    is_point,
    lift_x,
    parse_point,
    point_add,
    point_mul,
    point_negate,
    point_tweak_add,
    scalar_from_bytes,
    scalar_to_bytes,
)
from coordinator_core.secp256k1.schnorr import schnorr_sign, schnorr_verify
from coordinator_core.secp256k1.selftest import run as _run_selftest

__all__ = [
    "G",
    "N",
    "SecretKey",
    "ecdh_x",
    "ecdsa_recover",
    "ecdsa_sign",
    "ecdsa_sign_recoverable",
    "ecdsa_verify",
    "generator_mul",
    "has_odd_y",
    "is_point",
    "lift_x",
    "parse_point",
    "point_add",
    "point_mul",
    "point_negate",
    "point_tweak_add",
    "scalar_from_bytes",
    "scalar_to_bytes",
    "schnorr_sign",
    "schnorr_verify",
    "sha256",
    "tagged_hash",
]

_run_selftest()
