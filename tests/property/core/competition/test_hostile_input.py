"""Whatever comes from outside ends in a value or in a typed error."""

import contextlib
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator_core.competition.documents import canonical_bytes, decimal_text, is_canonical_decimal
from coordinator_core.competition.draft import read_draft
from coordinator_core.competition.terms import decode_terms
from coordinator_core.errors import CoreError, InvalidInput
from coordinator_core.nostr.bech32 import bech32_decode, bech32_encode
from coordinator_core.nostr.event import parse_event, sign_event
from coordinator_core.nostr.nip44 import decrypt, encrypt
from coordinator_core.nostr.nip98 import NotAuthorized, same_address, verify_authorization
from coordinator_core.oracle.attestation import attested_outcome
from coordinator_core.oracle.statement import parse_statement
from coordinator_core.secp256k1 import G, SecretKey
from coordinator_core.secret import Secret

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
KEY = SecretKey.from_bytes(bytes([1]) * 32)


def refusal(read):
    """The InvalidInput that `read` raises, None if it gives a value."""
    try:
        read()
    except InvalidInput as problem:
        return problem
    return None


def paths(value, path=()):
    yield path
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from paths(child, (*path, name))


@given(data=st.data(), value=json_values)
def test_terms_with_any_member_replaced(terms_document, data, value):
    document = terms_document()
    path = data.draw(st.sampled_from([p for p in paths(document) if p]))
    target = document
    for name in path[:-1]:
        target = target[name]
    target[path[-1]] = copy.deepcopy(value)
    raw = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    refused = refusal(lambda: canonical_bytes(decode_terms(raw)) == raw or pytest.fail("another document was read"))
    assert refused is None or refused.field.startswith("terms")


@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes(raw):
    for read in (decode_terms, parse_statement, parse_event):
        with pytest.raises(CoreError):
            read(raw)


@given(json_values)
def test_any_draft(value):
    refused = refusal(lambda: read_draft(value))
    assert refused is not None
    assert refused.field.startswith("draft")


@given(st.text(max_size=300))
def test_any_text(text):
    for read in (lambda: bech32_decode(text, "npub", "npub"), lambda: decrypt(text, Secret(bytes([1]) * 32))):
        with contextlib.suppress(CoreError):
            read()
    for header in (text, f"Nostr {text}"):
        with contextlib.suppress(NotAuthorized):
            verify_authorization(header, "GET", "https://a.example/", b"", 0)
    assert isinstance(same_address(text, text), bool)


@given(st.binary(max_size=40))
def test_any_attestation(scalar):
    outcome = None
    with contextlib.suppress(CoreError):
        outcome = attested_outcome(scalar, [G])
    assert (outcome == 0) is (scalar == bytes(31) + b"\x01")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_decimal_keeps_every_bit(value):
    text = decimal_text(value)
    assert float(text).hex() == value.hex()
    assert is_canonical_decimal(text)


@given(st.binary(max_size=80), st.sampled_from(["npub", "nsec", "note"]))
def test_bech32_round_trip(data, prefix):
    text = bech32_encode(prefix, data)
    assert bech32_decode(text, prefix, "text") == data
    assert bech32_decode(text.upper(), prefix, "text") == data


@given(
    st.text(min_size=1, max_size=300).filter(
        lambda text: text.isascii() or text.encode(errors="ignore").decode() == text
    )
)
def test_encryption_round_trip(text):
    key = Secret(bytes([3]) * 32)
    assert decrypt(encrypt(text, key), key) == text


@given(
    content=st.text(st.characters(exclude_categories=("Cs",)), max_size=200),
    tags=st.lists(st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=10), max_size=4), max_size=4),
    kind=st.integers(0, 65_535),
)
def test_events_round_trip(content, tags, kind):
    event = sign_event(KEY, kind, content, tags, created_at=1)
    assert parse_event(event.to_json()) == event
