import json
from hashlib import sha256
from pathlib import Path

import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.nostr.nip44 import Undecryptable, conversation_key, decrypt, encrypt, message_keys, padded_length
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret

VECTORS = json.loads((Path(__file__).parents[3] / "vectors" / "nip44.json").read_text())


def key(text):
    return SecretKey.from_bytes(bytes.fromhex(text))


@pytest.mark.parametrize("case", VECTORS["conversation_keys"])
def test_conversation_keys(case):
    assert conversation_key(key(case["sec1"]), bytes.fromhex(case["pub2"])).reveal().hex() == case["conversation_key"]


def test_message_keys():
    cases = VECTORS["message_keys"]
    shared = Secret(bytes.fromhex(cases["conversation_key"]))
    for case in cases["keys"]:
        keys = message_keys(shared, bytes.fromhex(case["nonce"]))
        got = (keys.chacha_key.hex(), keys.chacha_nonce.hex(), keys.hmac_key.hex())
        assert got == (case["chacha_key"], case["chacha_nonce"], case["hmac_key"])
        assert case["chacha_key"] not in repr(keys)
    assert len(cases["keys"]) == 32


def test_padded_lengths():
    assert [padded_length(length) for length, _ in VECTORS["padded_lengths"]] == [
        padded for _, padded in VECTORS["padded_lengths"]
    ]


@pytest.mark.parametrize("case", VECTORS["messages"])
def test_messages(case):
    sender, recipient = key(case["sec1"]), key(case["sec2"])
    shared = conversation_key(sender, recipient.x_only)
    assert shared == conversation_key(recipient, sender.x_only)
    assert shared.reveal().hex() == case["conversation_key"]
    assert encrypt(case["plaintext"], shared, bytes.fromhex(case["nonce"])) == case["payload"]
    assert decrypt(case["payload"], shared) == case["plaintext"]


@pytest.mark.parametrize("case", VECTORS["long_messages"])
def test_long_messages(case):
    shared, plaintext = Secret(bytes.fromhex(case["conversation_key"])), case["pattern"] * case["repeat"]
    payload = encrypt(plaintext, shared, bytes.fromhex(case["nonce"]))
    assert sha256(plaintext.encode()).hexdigest() == case["plaintext_sha256"]
    assert sha256(payload.encode()).hexdigest() == case["payload_sha256"]
    assert decrypt(payload, shared) == plaintext


@pytest.mark.parametrize("length", VECTORS["refused_lengths"])
def test_lengths_that_are_refused(length):
    with pytest.raises(InvalidInput):
        encrypt("x" * length, Secret(bytes([1]) * 32))


@pytest.mark.parametrize("case", VECTORS["refused_keys"], ids=lambda case: case["note"])
def test_keys_that_are_refused(case):
    with pytest.raises(InvalidInput):
        conversation_key(key(case["sec1"]), bytes.fromhex(case["pub2"]))


@pytest.mark.parametrize("case", VECTORS["refused_payloads"], ids=lambda case: case["note"])
def test_payloads_that_are_refused(case):
    with pytest.raises(Undecryptable):
        decrypt(case["payload"], Secret(bytes.fromhex(case["conversation_key"])))


def test_every_byte_is_authenticated():
    shared = Secret(bytes([7]) * 32)
    payload = encrypt("hello", shared)
    for position in range(0, len(payload), 7):
        other = "A" if payload[position] != "A" else "B"
        with pytest.raises(Undecryptable):
            decrypt(payload[:position] + other + payload[position + 1 :], shared)
    assert encrypt("hello", shared) != payload
    with pytest.raises(InvalidInput):
        encrypt("hello", shared, bytes(31))
    with pytest.raises(InvalidInput):
        encrypt("\ud800", shared)
