from hashlib import sha256

import pytest

from coordinator_core.errors import Fault, InvalidInput, VerificationFailed
from coordinator_core.oracle.attestation import UnknownAttestation, attested_outcome
from coordinator_core.oracle.locking import locking_point, locking_points, verify_locking_points
from coordinator_core.oracle.outcomes import messages
from coordinator_core.secp256k1 import N, SecretKey, schnorr_verify, tagged_hash

POINTS = 7


def oracle(key_parity, nonce_parity):
    """Key and nonce of these parities."""
    keys = (SecretKey.from_bytes(sha256(bytes([i])).digest()) for i in range(100))
    by_parity = {}
    for secret in keys:
        by_parity.setdefault(secret.public_key[0] - 2, []).append(secret)
    return by_parity[key_parity][0], by_parity[nonce_parity][1]


def attest(key, nonce, message):
    """s = k' + e d' in plain integers."""
    digest = tagged_hash("DLC/oracle/attestation/v0", message)
    e = int.from_bytes(tagged_hash("BIP0340/challenge", nonce.x_only + key.x_only + digest), "big") % N
    k, d = (int.from_bytes(secret.with_even_y().reveal(), "big") for secret in (nonce, key))
    return ((k + e * d) % N).to_bytes(32, "big"), digest


@pytest.mark.parametrize("parities", [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_each_attestation_opens_its_own_point(parities):
    key, nonce = oracle(*parities)
    points = locking_points(key.public_key, nonce.public_key, 3, 2)
    assert len(set(points)) == POINTS
    for index, message in enumerate(messages(3, 2)):
        scalar, digest = attest(key, nonce, message)
        assert attested_outcome(scalar, points) == index
        # The attestation is the second half of a BIP340 signature (and the even nonce the first).
        assert schnorr_verify(nonce.x_only + scalar, digest, key.x_only)
        negated = (N - int.from_bytes(scalar, "big")).to_bytes(32, "big")
        with pytest.raises(UnknownAttestation):
            attested_outcome(negated, points)
    # Only x counts: the oracle may name either parity.
    assert points == locking_points(bytes([key.public_key[0] ^ 1]) + key.x_only, nonce.public_key, 3, 2)


@pytest.mark.parametrize("scalar", [bytes(32), b"\xff" * 32, b"\x01", N.to_bytes(32, "big"), bytes(31) + b"\x01"])
def test_what_opens_nothing_is_refused(scalar):
    key, nonce = oracle(0, 0)
    with pytest.raises(UnknownAttestation) as caught:
        attested_outcome(scalar, locking_points(key.public_key, nonce.public_key, 3, 1))
    assert caught.value.fault is Fault.ORACLE


def test_a_scalar_that_opens_two_points_decides_nothing():
    key, nonce = oracle(0, 0)
    scalar, _ = attest(key, nonce, b"")
    point = locking_point(key.public_key, nonce.public_key, b"")
    assert attested_outcome(scalar, [point]) == 0
    with pytest.raises(UnknownAttestation):
        attested_outcome(scalar, [point, point])


def test_announced_points_are_recomputed():
    key, nonce = oracle(1, 1)
    points = locking_points(key.public_key, nonce.public_key, 3, 2)
    assert verify_locking_points(points, key.public_key, nonce.public_key, 3, 2) == points
    swapped = (points[1], points[0], *points[2:])
    for wrong in (points[:-1], swapped, (*points[:-1], points[0]), (*points[:-1], b"")):
        with pytest.raises(VerificationFailed):
            verify_locking_points(wrong, key.public_key, nonce.public_key, 3, 2)
    with pytest.raises(VerificationFailed):
        verify_locking_points(points, nonce.public_key, key.public_key, 3, 2)
    with pytest.raises(InvalidInput) as caught:
        verify_locking_points(points, key.public_key, b"\x02" + bytes(32), 3, 2)
    assert caught.value.fault is Fault.ORACLE
