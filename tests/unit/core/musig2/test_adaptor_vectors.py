"""Adaptor signatures of the Rust crate musig2: aggregate key, nonces, shares, signature, secret, bit for bit."""

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.musig2 import (
    KeySet,
    SigningItem,
    SoloSigner,
    adapt,
    aggregate_nonces,
    aggregate_signatures,
    extract,
    verify,
    verify_partial,
)
from coordinator_core.secp256k1 import N, SecretKey, generator_mul, schnorr_verify

ADAPTOR = json.loads((Path(__file__).parents[3] / "vectors/musig2/adaptor_b.json").read_text())
numbered = pytest.mark.parametrize("vector", ADAPTOR, ids=[f"{i}-{v['tweak']}" for i, v in enumerate(ADAPTOR)])


def decoded(vector: dict[str, Any]) -> dict[str, Any]:
    return {
        name: [bytes.fromhex(one) for one in value]
        if isinstance(value, list)
        else value
        if name == "tweak"
        else bytes.fromhex(value)
        for name, value in vector.items()
    }


def item_of(vector: dict[str, Any]) -> SigningItem:
    key_set = KeySet.aggregate(vector["pks"])
    if vector["tweak"] != "none":
        key_set = key_set.with_taproot_tweak(vector["root"] if vector["tweak"] == "root" else b"")
    return SigningItem(key_set, vector["msg"], vector["T"])


def test_the_vectors_cover_what_they_should() -> None:
    assert len(ADAPTOR) == 24
    assert {vector["tweak"] for vector in ADAPTOR} == {"none", "unspendable", "root"}
    assert {len(vector["pks"]) for vector in ADAPTOR} == {1, 3, 5}


@numbered
def test_every_step_matches_the_crate(vector, sign_with_nonce) -> None:
    v = decoded(vector)
    item = item_of(v)
    assert item.key_set.public_key == v["agg"]
    assert aggregate_nonces(v["pubnonces"]) == v["aggnonce"]
    partials = []
    for secret, nonce in zip(v["sks"], v["secnonces"], strict=True):
        partials.append(sign_with_nonce(item, SecretKey.from_bytes(secret), nonce, v["aggnonce"]))
    assert partials == v["psigs"]
    assert aggregate_signatures([item], [v["aggnonce"]], [partials]) == [v["asig"]]
    for nonce, partial, secret in zip(v["pubnonces"], partials, v["sks"], strict=True):
        verify_partial(item, v["aggnonce"], nonce, partial, [SecretKey.from_bytes(secret).public_key])
    assert adapt(v["asig"], v["t"]) == v["final"]
    assert schnorr_verify(v["final"], v["msg"], item.key_set.x_only)
    assert extract(v["asig"], v["final"], v["T"]) == v["t"]


@numbered
def test_solo_signatures_complete_and_reveal_alike(vector) -> None:
    v = decoded(vector)
    item = item_of(v)
    [signature] = SoloSigner([SecretKey.from_bytes(secret) for secret in v["sks"]]).sign([item])
    final = adapt(signature, v["t"])
    assert schnorr_verify(final, v["msg"], item.key_set.x_only)
    assert extract(signature, final, v["T"]) == v["t"]


@numbered
def test_another_adaptor_point_message_or_key_is_refused(vector) -> None:
    v = decoded(vector)
    item = item_of(v)
    verify(item, v["asig"])
    wrong_key = KeySet.aggregate([*v["pks"], generator_mul(b"\x01" * 32)])
    for wrong in (
        SigningItem(item.key_set, v["msg"], generator_mul(b"\x02" * 32)),
        SigningItem(item.key_set, bytes(32), v["T"]),
        SigningItem(wrong_key, v["msg"], v["T"]),
    ):
        with pytest.raises(InvalidSignature):
            verify(wrong, v["asig"])


def test_a_wrong_secret_gives_no_valid_signature() -> None:
    v = decoded(ADAPTOR[0])
    assert not schnorr_verify(adapt(v["asig"], b"\x05" * 32), v["msg"], item_of(v).key_set.x_only)


@pytest.mark.parametrize("byte", [0, 32, 33, 63])
def test_extraction_refuses_a_signature_of_something_else(byte: int) -> None:
    v = decoded(ADAPTOR[0])
    other = bytearray(v["final"])
    other[byte] ^= 1
    if byte < 32:
        # Only s is read: the nonce of a completed signature is implied by the adaptor signature.
        assert extract(v["asig"], bytes(other), v["T"]) == v["t"]
        return
    with pytest.raises(VerificationFailed):
        extract(v["asig"], bytes(other), v["T"])


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (lambda v: adapt(v["asig"][:-1], v["t"]), "adaptor signature"),
        (lambda v: adapt(b"\x05" + v["asig"][1:], v["t"]), "adaptor signature"),
        (lambda v: adapt(v["asig"][:33] + N.to_bytes(32, "big"), v["t"]), "adaptor signature"),
        (lambda v: adapt(v["asig"], bytes(32)), "adaptor secret"),
        (lambda v: adapt(v["asig"], N.to_bytes(32, "big")), "adaptor secret"),
        (lambda v: extract(v["asig"], v["final"][1:], v["T"]), "signature"),
        (lambda v: extract(v["asig"], v["final"], v["T"][1:]), "adaptor point"),
        (lambda v: extract(v["asig"][1:], v["final"], v["T"]), "adaptor signature"),
        (lambda v: SigningItem(item_of(v).key_set, v["msg"], bytes(33)), "adaptor point"),
        (lambda v: SigningItem(item_of(v).key_set, v["msg"][1:], v["T"]), "message"),
    ],
)
def test_malformed_input_names_the_field(operation, field) -> None:
    with pytest.raises(InvalidInput) as refusal:
        operation(decoded(ADAPTOR[0]))
    assert refusal.value.field == field
