import base64
import json

import pytest

from coordinator_core.errors import VerificationFailed
from coordinator_core.nostr.event import sign_event
from coordinator_core.nostr.nip98 import (
    NotAuthorized,
    Rejection,
    build_authorization,
    same_address,
    verify_authorization,
)
from coordinator_core.secp256k1 import SecretKey, sha256

ALICE = SecretKey.from_bytes(bytes([1]) * 32)
URL = "https://coordinator.example/api/v1/entries?x=1"
NOW = 1_700_000_000
BODY = b'{"a":1}'


def header(**change):
    values = {"method": "POST", "url": URL, "body": BODY, "secret": ALICE, "created_at": NOW} | change
    return build_authorization(**values)


def test_a_request_as_it_was_signed_passes():
    done = verify_authorization(header(), "POST", URL, BODY, NOW + 60)
    assert done.author == ALICE.x_only
    assert done.valid_until == NOW + 60
    assert len(done.replay_id) == 32
    assert verify_authorization(header(body=None, method="get"), "GET", URL, b"", NOW - 60).author == ALICE.x_only


def test_two_requests_of_one_second_have_two_ids():
    ids = {verify_authorization(header(), "POST", URL, BODY, NOW).replay_id for _ in range(2)}
    assert len(ids) == 2


def signed(kind=27_235, content="", tags=None, spoil=None):
    standard = [["u", URL], ["method", "POST"], ["payload", sha256(BODY).hex()]]
    event = json.loads(sign_event(ALICE, kind, content, standard if tags is None else tags, created_at=NOW).to_json())
    event |= spoil or {}
    return "Nostr " + base64.b64encode(json.dumps(event).encode()).decode()


@pytest.mark.parametrize(
    ("value", "rejection"),
    [
        (None, Rejection.MISSING),
        ("", Rejection.MISSING),
        ("Bearer x", Rejection.MALFORMED),
        ("Nostr !!!", Rejection.MALFORMED),
        ("Nostr é", Rejection.MALFORMED),
        ("Nostr " + "A" * 9_000, Rejection.MALFORMED),
        ("Nostr " + base64.b64encode(b"[]").decode(), Rejection.MALFORMED),
        (signed(kind=1), Rejection.MALFORMED),
        (signed(content="x"), Rejection.MALFORMED),
        (signed(tags=[["u", URL]]), Rejection.MALFORMED),
        (signed(tags=[["u"], ["method", "POST"]]), Rejection.MALFORMED),
        (signed(spoil={"created_at": NOW - 61}), Rejection.EXPIRED),
        (signed(spoil={"created_at": NOW + 61}), Rejection.EXPIRED),
        (header(method="PUT"), Rejection.MISMATCH),
        (header(url=URL + "2"), Rejection.MISMATCH),
        (header(url="http://coordinator.example/api/v1/entries?x=1"), Rejection.MISMATCH),
        (signed(spoil={"sig": "00" * 64}), Rejection.BAD_SIGNATURE),
        (signed(spoil={"created_at": NOW + 1}), Rejection.BAD_SIGNATURE),
        (header(body=b"other"), Rejection.PAYLOAD_MISMATCH),
        (header(body=None), Rejection.PAYLOAD_MISMATCH),
    ],
)
def test_each_check_has_its_rejection(value, rejection):
    with pytest.raises(NotAuthorized) as caught:
        verify_authorization(value, "POST", URL, BODY, NOW)
    assert caught.value.rejection is rejection
    assert isinstance(caught.value, VerificationFailed)


def test_a_signed_body_must_be_there():
    with pytest.raises(NotAuthorized) as caught:
        verify_authorization(header(), "POST", URL, b"", NOW)
    assert caught.value.rejection is Rejection.PAYLOAD_MISMATCH


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://A.example", "https://a.example:443/", True),
        ("http://a.example:80/x", "http://a.example/x", True),
        ("https://a.example/x", "https://a.example/x/", False),
        ("https://a.example/x?b", "https://a.example/x?c", False),
        ("https://a.example/x#f", "https://a.example/x#f", False),
        ("https://u@a.example/x", "https://u@a.example/x", False),
        ("ftp://a.example/", "ftp://a.example/", False),
        ("https://a.example:99999/", "https://a.example:99999/", False),
        ("//", "//", False),
    ],
)
def test_addresses(one, other, same):
    assert same_address(one, other) is same
