from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from coordinator_core.errors import InvalidInput, VerificationFailed
from coordinator_core.keymeld.derivation import hkdf
from coordinator_core.keymeld.ecies import OVERHEAD_BYTES, decrypt, encrypt
from coordinator_core.secp256k1 import SecretKey, has_odd_y, point_mul, sha256

RECIPIENT = SecretKey.from_bytes(b"\x22" * 32)


def test_the_key_is_hashed_from_the_whole_shared_point_whatever_its_parity() -> None:
    parities: set[bool] = set()
    for number in range(1, 13):
        scalar = number.to_bytes(32, "big")
        shared = point_mul(RECIPIENT.public_key, scalar)
        key = hkdf(sha256(shared), b"keymeld-ecies-encrypt")
        blob = encrypt(b"text", RECIPIENT.public_key, ephemeral=SecretKey.from_bytes(scalar), nonce=bytes(12))
        assert blob[45:] == AESGCM(key).encrypt(bytes(12), b"text", None)
        parities.add(has_odd_y(shared))
    assert parities == {True, False}


@given(st.binary(max_size=300))
def test_round_trip(plaintext: bytes) -> None:
    blob = encrypt(plaintext, RECIPIENT.public_key)
    assert len(blob) == len(plaintext) + OVERHEAD_BYTES
    assert decrypt(blob, RECIPIENT) == plaintext


def test_every_ciphertext_is_fresh() -> None:
    first, second = (encrypt(b"text", RECIPIENT.public_key) for _ in range(2))
    assert first[:33] != second[:33]
    assert first[33:45] != second[33:45]


def test_one_flipped_bit_is_refused() -> None:
    blob = encrypt(b"text", RECIPIENT.public_key)
    for index in (33, 45, len(blob) - 1):
        broken = blob[:index] + bytes([blob[index] ^ 1]) + blob[index + 1 :]
        with pytest.raises(VerificationFailed):
            decrypt(broken, RECIPIENT)


def test_a_recipient_that_is_no_point_is_refused() -> None:
    with pytest.raises(InvalidInput, match="recipient"):
        encrypt(b"text", b"\x02" + b"\xff" * 32)


@pytest.mark.parametrize("length", [0, 33, 45, OVERHEAD_BYTES - 1])
def test_a_short_ciphertext_is_refused(length: int) -> None:
    blob = encrypt(b"", RECIPIENT.public_key)
    with pytest.raises(InvalidInput, match="too short"):
        decrypt(blob[:length], RECIPIENT)
