import json
from hashlib import sha256

import msgspec
import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.nostr.event import parse_event, sign_event, verify_event
from coordinator_core.secp256k1 import SecretKey, schnorr_verify

ALICE = SecretKey.from_bytes(bytes([1]) * 32)
TEXT = 'quote " backslash \\ line\n tab\t bell\x07 umlaut ü snowman ☃ emoji 🌦 slash / del\x7f'


def test_the_id_is_the_hash_of_the_array():
    event = sign_event(ALICE, 1, TEXT, [["p", "x"], ["t"]], created_at=1_700_000_000)
    text = (
        f'[0,"{ALICE.x_only.hex()}",1700000000,1,[["p","x"],["t"]],'
        '"quote \\" backslash \\\\ line\\n tab\\t bell\\u0007 umlaut ü snowman ☃ emoji 🌦 slash / del\x7f"]'
    )
    assert event.id == sha256(text.encode()).hexdigest()
    assert schnorr_verify(bytes.fromhex(event.sig), bytes.fromhex(event.id), ALICE.x_only)
    assert (event.tag("p"), event.tag("t"), event.tag("q")) == ("x", None, None)


def test_round_trip():
    event = sign_event(ALICE, 1, TEXT, [["p", "x"]], created_at=1_700_000_000)
    assert parse_event(event.to_json()) == event
    same = sign_event(ALICE, 1, TEXT, [["p", "x"]], created_at=1_700_000_000, aux=bytes(32))
    assert same.sig == sign_event(ALICE, 1, TEXT, [["p", "x"]], created_at=1_700_000_000, aux=bytes(32)).sig


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"content": "other"}, VerificationFailed),
        ({"kind": 2}, VerificationFailed),
        ({"created_at": 1_700_000_001}, VerificationFailed),
        ({"tags": []}, VerificationFailed),
        ({"pubkey": SecretKey.from_bytes(bytes([2]) * 32).x_only.hex()}, VerificationFailed),
        ({"sig": "00" * 64}, InvalidSignature),
        ({"kind": 65_536}, InvalidInput),
        ({"kind": True}, InvalidInput),
        ({"created_at": -1}, InvalidInput),
        ({"created_at": 1.5}, InvalidInput),
        ({"tags": [[1]]}, InvalidInput),
        ({"id": "AB" * 32}, InvalidInput),
        ({"pubkey": "ab" * 33}, InvalidInput),
        ({"more": 1}, InvalidInput),
        ({"content": "\ud800"}, InvalidInput),
    ],
)
def test_a_changed_event_is_refused(change, error):
    event = json.loads(sign_event(ALICE, 1, "hello", [["p", "x"]], created_at=1_700_000_000).to_json())
    with pytest.raises(error):
        parse_event(json.dumps(event | change))


def test_a_key_off_the_curve_has_no_valid_signature():
    event = sign_event(ALICE, 1, "", created_at=0)
    fields = msgspec.to_builtins(event) | {"pubkey": "00" * 32}
    body = [0, fields["pubkey"], 0, 1, [], ""]
    fields["id"] = sha256(json.dumps(body, separators=(",", ":")).encode()).hexdigest()
    with pytest.raises(InvalidSignature):
        verify_event(msgspec.convert(fields, type(event)))


@pytest.mark.parametrize(("kind", "date", "text"), [(-1, 0, ""), (65_536, 0, ""), (1, -1, ""), (1, 0, "\ud800")])
def test_what_cannot_be_signed(kind, date, text):
    with pytest.raises(InvalidInput):
        sign_event(ALICE, kind, text, created_at=date)
