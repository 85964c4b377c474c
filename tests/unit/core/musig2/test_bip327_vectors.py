"""All vectors of BIP327 but those the C library has no call for: messages of other lengths and DetSign."""

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator_core.errors import CoreError, InvalidInput, InvalidSignature
from coordinator_core.musig2 import (
    KeySet,
    SigningItem,
    aggregate_nonces,
    aggregate_signatures,
    verify,
    verify_partial,
)
from coordinator_core.musig2.guard import library_session
from coordinator_core.musig2.layout import SESSION_BYTES, unit_cache
from coordinator_core.musig2.session import Sessions
from coordinator_core.secp256k1 import SecretKey, lift_x
from coordinator_core.secp256k1.native import NULL, ctx, ffi, lib
from coordinator_core.secp256k1.points import parse_native

VECTORS = Path(__file__).parents[3] / "vectors/bip327"


def load(name: str) -> dict[str, Any]:
    return json.loads((VECTORS / f"{name}_vectors.json").read_text())


def pick(pool: list[str], indices: list[int]) -> list[bytes]:
    return [bytes.fromhex(pool[index]) for index in indices]


def cases(name: str, group: str) -> list[Any]:
    return [pytest.param(case, id=f"{group}-{i}") for i, case in enumerate(load(name)[group])]


def only_32_bytes(message: bytes) -> bytes:
    if len(message) != 32:
        pytest.skip(f"libsecp256k1 signs 32-byte messages only, this vector has {len(message)} bytes")
    return message


def tweaked(key_set: KeySet, vectors: dict[str, Any], case: dict[str, Any]) -> KeySet:
    tweaks = pick(vectors["tweaks"], case.get("tweak_indices", []))
    for tweak, x_only in zip(tweaks, case.get("is_xonly", []), strict=True):
        key_set = key_set.with_tweak(tweak, x_only=x_only)
    return key_set


def assert_sessions_agree(item: SigningItem, aggregated: bytes) -> None:
    sessions = Sessions([item], [aggregated])
    assert ffi.buffer(sessions.at(0), SESSION_BYTES)[:] == library_session(item, aggregated)


def test_key_sort() -> None:
    vectors = load("key_sort")
    key_set = KeySet.aggregate([bytes.fromhex(key) for key in vectors["pubkeys"]])
    assert [key.hex().upper() for key in key_set.members] == vectors["sorted_pubkeys"]


@pytest.mark.parametrize("case", cases("key_agg", "valid_test_cases"))
def test_key_agg(case) -> None:
    key_set = KeySet.aggregate_in_order(pick(load("key_agg")["pubkeys"], case["key_indices"]))
    assert key_set.x_only.hex().upper() == case["expected"]


@pytest.mark.parametrize("case", cases("key_agg", "error_test_cases"))
def test_key_agg_errors(case) -> None:
    vectors = load("key_agg")
    with pytest.raises(InvalidInput) as refusal:
        tweaked(KeySet.aggregate_in_order(pick(vectors["pubkeys"], case["key_indices"])), vectors, case)
    expected = "pubkeys" if case["error"].get("contrib") == "pubkey" else "tweak"
    assert refusal.value.field.startswith(expected)


@pytest.mark.parametrize("case", cases("nonce_gen", "test_cases"))
def test_nonce_gen(case) -> None:
    if case["msg"] is not None:
        only_32_bytes(bytes.fromhex(case["msg"]))

    def given(name: str) -> Any:
        return NULL if case[name] is None else bytes.fromhex(case[name])

    cache = NULL
    if case["aggpk"] is not None:
        point = parse_native(lift_x(given("aggpk")))
        cache = unit_cache(point, point)
    secret_nonce, public_nonce = ffi.new("secp256k1_musig_secnonce *"), ffi.new("secp256k1_musig_pubnonce *")
    seed, public_key = ffi.new("unsigned char[32]", given("rand_")), parse_native(given("pk"))
    assert lib.secp256k1_musig_nonce_gen(
        ctx, secret_nonce, public_nonce, seed, given("sk"), public_key, given("msg"), cache, given("extra_in")
    )
    output = ffi.new("unsigned char[66]")
    assert lib.secp256k1_musig_pubnonce_serialize(ctx, output, public_nonce)
    assert ffi.buffer(output)[:].hex().upper() == case["expected_pubnonce"]
    assert ffi.buffer(secret_nonce)[4:68].hex().upper() == case["expected_secnonce"][:128]
    assert ffi.buffer(seed)[:] == bytes(32)


@pytest.mark.parametrize("case", cases("nonce_agg", "valid_test_cases"))
def test_nonce_agg(case) -> None:
    nonces = pick(load("nonce_agg")["pnonces"], case["pnonce_indices"])
    assert aggregate_nonces(nonces).hex().upper() == case["expected"]


@pytest.mark.parametrize("case", cases("nonce_agg", "error_test_cases"))
def test_nonce_agg_errors_name_the_signer(case) -> None:
    with pytest.raises(InvalidInput) as refusal:
        aggregate_nonces(pick(load("nonce_agg")["pnonces"], case["pnonce_indices"]))
    assert refusal.value.field == f"nonces[{case['error']['signer']}]"


class SignVerify:
    """The pools of sign_verify_vectors.json, and one case of it."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.pools = load("sign_verify")
        self.case = case
        self.secret = SecretKey.from_bytes(bytes.fromhex(self.pools["sk"]))
        self.message = only_32_bytes(bytes.fromhex(self.pools["msgs"][case["msg_index"]]))

    def item(self) -> SigningItem:
        keys = pick(self.pools["pubkeys"], self.case["key_indices"])
        return SigningItem(KeySet.aggregate_in_order(keys), self.message)

    def nonces(self) -> list[bytes]:
        return pick(self.pools["pnonces"], self.case["nonce_indices"])

    def verify(self, partial: bytes) -> None:
        nonces, signer = self.nonces(), self.case["signer_index"]
        item = self.item()
        key = bytes.fromhex(self.pools["pubkeys"][self.case["key_indices"][signer]])
        verify_partial(item, aggregate_nonces(nonces), nonces[signer], partial, [key])


@pytest.mark.parametrize("case", cases("sign_verify", "valid_test_cases"))
def test_sign_and_verify(case, sign_with_nonce) -> None:
    vector = SignVerify(case)
    aggregated = bytes.fromhex(vector.pools["aggnonces"][case["aggnonce_index"]])
    assert aggregate_nonces(vector.nonces()) == aggregated
    assert_sessions_agree(vector.item(), aggregated)
    scalars = bytes.fromhex(vector.pools["secnonces"][0])[:64]
    partial = sign_with_nonce(vector.item(), vector.secret, scalars, aggregated)
    assert partial.hex().upper() == case["expected"]
    vector.verify(partial)


@pytest.mark.parametrize("case", cases("sign_verify", "sign_error_test_cases"))
def test_sign_errors(case, sign_with_nonce) -> None:
    vector = SignVerify(case)
    scalars = bytes.fromhex(vector.pools["secnonces"][case["secnonce_index"]])[:64]
    aggregated = bytes.fromhex(vector.pools["aggnonces"][case["aggnonce_index"]])
    if case["secnonce_index"] == 1:
        assert sign_with_nonce(vector.item(), vector.secret, scalars, aggregated) is None
        return
    with pytest.raises(InvalidInput) as refusal:
        sign_with_nonce(vector.item(), vector.secret, scalars, aggregated)
    contribution = case["error"].get("contrib")
    if contribution == "aggnonce":
        assert refusal.value.field == "aggregated nonces[0]"
    elif contribution == "pubkey":
        assert refusal.value.field == "pubkeys"
    else:
        assert refusal.value.field == "key"


@pytest.mark.parametrize("case", cases("sign_verify", "verify_fail_test_cases"))
def test_partial_verification_fails(case) -> None:
    with pytest.raises(InvalidSignature):
        SignVerify(case).verify(bytes.fromhex(case["sig"]))


@pytest.mark.parametrize("case", cases("sign_verify", "verify_error_test_cases"))
def test_partial_verification_errors(case) -> None:
    with pytest.raises(InvalidInput):
        SignVerify(case).verify(bytes.fromhex(case["sig"]))


@pytest.mark.parametrize("case", cases("tweak", "valid_test_cases"))
def test_tweaks(case, sign_with_nonce) -> None:
    vectors = load("tweak")
    key_set = tweaked(KeySet.aggregate_in_order(pick(vectors["pubkeys"], case["key_indices"])), vectors, case)
    item, aggregated = SigningItem(key_set, bytes.fromhex(vectors["msg"])), bytes.fromhex(vectors["aggnonce"])
    assert_sessions_agree(item, aggregated)
    secret = SecretKey.from_bytes(bytes.fromhex(vectors["sk"]))
    partial = sign_with_nonce(item, secret, bytes.fromhex(vectors["secnonce"])[:64], aggregated)
    assert partial.hex().upper() == case["expected"]
    nonces = pick(vectors["pnonces"], case["nonce_indices"])
    verify_partial(item, aggregated, nonces[case["signer_index"]], partial, [secret.public_key])


@pytest.mark.parametrize("case", cases("tweak", "error_test_cases"))
def test_tweak_errors(case) -> None:
    vectors = load("tweak")
    with pytest.raises(InvalidInput) as refusal:
        tweaked(KeySet.aggregate_in_order(pick(vectors["pubkeys"], case["key_indices"])), vectors, case)
    assert refusal.value.field == "tweak"


@pytest.mark.parametrize("case", cases("sig_agg", "valid_test_cases"))
def test_signature_aggregation(case) -> None:
    vectors = load("sig_agg")
    key_set = tweaked(KeySet.aggregate_in_order(pick(vectors["pubkeys"], case["key_indices"])), vectors, case)
    item, aggregated = SigningItem(key_set, bytes.fromhex(vectors["msg"])), bytes.fromhex(case["aggnonce"])
    assert aggregate_nonces(pick(vectors["pnonces"], case["nonce_indices"])) == aggregated
    assert_sessions_agree(item, aggregated)
    [signature] = aggregate_signatures([item], [aggregated], [pick(vectors["psigs"], case["psig_indices"])])
    assert signature.hex().upper() == case["expected"]
    verify(item, signature)


@pytest.mark.parametrize("case", cases("sig_agg", "error_test_cases"))
def test_signature_aggregation_errors_name_the_signer(case) -> None:
    vectors = load("sig_agg")
    key_set = tweaked(KeySet.aggregate_in_order(pick(vectors["pubkeys"], case["key_indices"])), vectors, case)
    item = SigningItem(key_set, bytes.fromhex(vectors["msg"]))
    with pytest.raises(CoreError) as refusal:
        aggregate_signatures([item], [bytes.fromhex(case["aggnonce"])], [pick(vectors["psigs"], case["psig_indices"])])
    assert isinstance(refusal.value, InvalidInput)
    assert refusal.value.field == f"partials[0][{case['error']['signer']}]"


def test_deterministic_signing_is_not_offered() -> None:
    """DetSign derives the nonce from the others' nonces; libsecp256k1 has no call for it and neither has this."""
    vectors = load("det_sign")
    skipped = sum(len(group) for name, group in vectors.items() if name.endswith("test_cases"))
    pytest.skip(f"{skipped} vectors of DetSign: libsecp256k1 does not implement it")
