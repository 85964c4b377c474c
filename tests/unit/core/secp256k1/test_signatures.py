"""BIP340 against its vectors; ECDSA against an RFC 6979 known answer; malformed input."""

import csv
from pathlib import Path

import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import (
    G,
    N,
    SecretKey,
    ecdsa_recover,
    ecdsa_sign,
    ecdsa_sign_recoverable,
    ecdsa_verify,
    scalar_to_bytes,
    schnorr_sign,
    schnorr_verify,
    sha256,
)

with (Path(__file__).parents[3] / "vectors/bip340.csv").open() as vectors:
    BIP340 = list(csv.DictReader(vectors))


def test_the_vector_file_is_whole() -> None:
    assert len(BIP340) == 19
    assert sum(1 for row in BIP340 if row["secret key"]) >= 8


@pytest.mark.parametrize("row", BIP340, ids=lambda row: row["index"])
def test_bip340_verification(row: dict[str, str]) -> None:
    key, message, signature = (bytes.fromhex(row[name]) for name in ("public key", "message", "signature"))
    assert schnorr_verify(signature, message, key) is (row["verification result"] == "TRUE")


@pytest.mark.parametrize("row", [row for row in BIP340 if row["secret key"]], ids=lambda row: row["index"])
def test_bip340_signing(row: dict[str, str]) -> None:
    secret = SecretKey.from_bytes(bytes.fromhex(row["secret key"]))
    assert secret.x_only.hex().upper() == row["public key"]
    signature = schnorr_sign(bytes.fromhex(row["message"]), secret, bytes.fromhex(row["aux_rand"]))
    assert signature.hex().upper() == row["signature"]


def test_fresh_randomness_by_default() -> None:
    secret, message = SecretKey.generate(), sha256(b"message")
    first, second = schnorr_sign(message, secret), schnorr_sign(message, secret)
    assert first != second
    assert schnorr_verify(first, message, secret.x_only)
    assert schnorr_verify(second, message, secret.x_only)
    assert not schnorr_verify(first, sha256(b"other"), secret.x_only)


@pytest.mark.parametrize(
    "malformed",
    [
        (b"", bytes(32), G[1:]),
        (bytes(65), bytes(32), G[1:]),
        (bytes(64), bytes(32), G),
        (bytes(64), bytes(32), b"\xff" * 32),
        (None, bytes(32), G[1:]),
        (bytes(64), None, G[1:]),
        (bytes(64), bytes(32), None),
    ],
)
def test_malformed_schnorr_input_is_false(malformed) -> None:
    assert schnorr_verify(*malformed) is False


@pytest.mark.parametrize(("message", "aux", "field"), [(bytes(32), bytes(31), "aux"), ("text", None, "message")])
def test_schnorr_sign_refuses(message, aux, field) -> None:
    with pytest.raises(InvalidInput) as refusal:
        schnorr_sign(message, SecretKey.generate(), aux)
    assert refusal.value.field == field


def test_ecdsa_known_answer() -> None:
    # secp256k1 with RFC 6979 and SHA256: secret 1, message "Satoshi Nakamoto".
    signature = ecdsa_sign(sha256(b"Satoshi Nakamoto"), SecretKey.from_bytes(scalar_to_bytes(1)))
    assert signature.hex() == (
        "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
        "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"
    )


def test_ecdsa_round_trip_and_recovery() -> None:
    for seed in range(1, 9):
        secret, digest = SecretKey.from_bytes(scalar_to_bytes(seed * 1_000_003)), sha256(bytes([seed]))
        signature, recovery_id = ecdsa_sign_recoverable(digest, secret)
        assert signature == ecdsa_sign(digest, secret)
        assert ecdsa_verify(signature, digest, secret.public_key)
        assert not ecdsa_verify(signature, sha256(b"other"), secret.public_key)
        assert ecdsa_recover(digest, signature, recovery_id) == secret.public_key
        assert ecdsa_recover(digest, signature, recovery_id ^ 1) != secret.public_key


def test_ecdsa_verify_refuses_high_s() -> None:
    secret, digest = SecretKey.generate(), sha256(b"x")
    signature = ecdsa_sign(digest, secret)
    high = signature[:32] + (N - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    assert not ecdsa_verify(high, digest, secret.public_key)


@pytest.mark.parametrize(
    "malformed",
    [
        (b"", bytes(32), G),
        (bytes(64), bytes(31), G),
        (bytes(64), bytes(32), G[1:]),
        (b"\xff" * 64, bytes(32), G),
    ],
)
def test_malformed_ecdsa_input_is_false(malformed) -> None:
    assert ecdsa_verify(*malformed) is False


@pytest.mark.parametrize(
    ("digest", "signature", "recovery_id", "field"),
    [
        (bytes(31), bytes(64), 0, "message"),
        (bytes(32), bytes(63), 0, "signature"),
        (bytes(32), b"\xff" * 64, 0, "signature"),
        (bytes(32), bytes(64), 0, "signature"),
        (bytes(32), bytes(64), 4, "recovery id"),
        (bytes(32), bytes(64), -1, "recovery id"),
        (bytes(32), scalar_to_bytes(5) + scalar_to_bytes(1), 0, "signature"),
    ],
)
def test_recovery_refuses(digest, signature, recovery_id, field) -> None:
    with pytest.raises(InvalidInput) as refusal:
        ecdsa_recover(digest, signature, recovery_id)
    assert refusal.value.field == field
