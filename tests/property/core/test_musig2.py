"""Invariants of MuSig2: any keys, any division among signers, any tweak, with and without an adaptor point."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator_core.errors import CoreError, InvalidSignature, Misuse
from coordinator_core.musig2 import (
    KeySet,
    MultiSigner,
    SigningItem,
    SoloSigner,
    adapt,
    aggregate_nonces,
    aggregate_signatures,
    extract,
    verify,
    verify_batch,
    verify_partial,
)
from coordinator_core.secp256k1 import N, SecretKey, generator_mul, scalar_to_bytes, schnorr_verify

scalars = st.integers(1, N - 1).map(scalar_to_bytes)
digests = st.binary(min_size=32, max_size=32)
tweaks = st.one_of(st.none(), st.just(b""), digests)


@st.composite
def cases(draw, adaptor: bool | None = None) -> tuple[SigningItem, list[list[SecretKey]], bytes | None]:
    """An item, its keys divided among signers, and the adaptor secret if it has one."""
    keys = [SecretKey.from_bytes(s) for s in draw(st.lists(scalars, min_size=1, max_size=5, unique=True))]
    owners = draw(st.lists(st.integers(0, 2), min_size=len(keys), max_size=len(keys)))
    groups = [[key for key, owner in zip(keys, owners, strict=True) if owner == signer] for signer in range(3)]
    key_set = KeySet.aggregate([key.public_key for key in keys])
    root = draw(tweaks)
    if root is not None:
        key_set = key_set.with_taproot_tweak(root)
    with_adaptor = draw(st.booleans()) if adaptor is None else adaptor
    secret = draw(scalars) if with_adaptor else None
    item = SigningItem(key_set, draw(digests), generator_mul(secret) if secret else None)
    return item, [group for group in groups if group], secret


def sign(item: SigningItem, groups: list[list[SecretKey]]) -> bytes:
    signers = [MultiSigner(group) for group in groups]
    nonces = [signer.nonces([item])[0] for signer in signers]
    aggregated = aggregate_nonces(nonces)
    partials = [signer.sign([aggregated])[0] for signer in signers]
    for group, nonce, partial in zip(groups, nonces, partials, strict=True):
        verify_partial(item, aggregated, nonce, partial, [key.public_key for key in group])
    for signer in signers:
        with pytest.raises(Misuse):
            signer.sign([aggregated])
    return aggregate_signatures([item], [aggregated], [partials])[0]


@settings(max_examples=60, deadline=None)
@given(cases())
def test_round_trip(case) -> None:
    item, groups, secret = case
    every_key = [key for group in groups for key in group]
    for signature in (sign(item, groups), SoloSigner(every_key).sign([item])[0]):
        assert len(signature) == (64 if secret is None else 65)
        verify(item, signature)
        final = signature if secret is None else adapt(signature, secret)
        assert schnorr_verify(final, item.message, item.key_set.x_only)
        if secret is not None:
            assert extract(signature, final, item.adaptor_point) == secret


@settings(max_examples=60, deadline=None)
@given(cases(), st.data())
def test_any_flipped_bit_is_refused(case, data) -> None:
    item, groups, _ = case
    [signature] = SoloSigner([key for group in groups for key in group]).sign([item])
    bit = data.draw(st.integers(0, 8 * len(signature) - 1))
    flipped = (int.from_bytes(signature, "big") ^ 1 << bit).to_bytes(len(signature), "big")
    with pytest.raises(InvalidSignature):
        verify(item, flipped)


@settings(max_examples=30, deadline=None)
@given(cases(adaptor=True), scalars)
def test_only_its_own_secret_completes_an_adaptor_signature(case, other) -> None:
    item, groups, secret = case
    [signature] = SoloSigner([key for group in groups for key in group]).sign([item])
    final = adapt(signature, other)
    assert schnorr_verify(final, item.message, item.key_set.x_only) is (other == secret)


@settings(max_examples=100, deadline=None)
@given(cases(), st.one_of(st.none(), st.text(), st.binary(max_size=70), st.integers()))
def test_hostile_signatures_raise_typed_errors(case, signature) -> None:
    with pytest.raises(InvalidSignature):
        verify_batch([case[0]], [signature])


hostile_bytes = st.one_of(st.none(), st.text(), st.binary(max_size=70), st.integers())


@settings(max_examples=100, deadline=None)
@given(hostile_bytes, hostile_bytes, hostile_bytes)
def test_hostile_bytes_raise_typed_errors(first, second, third) -> None:
    key_set = KeySet.aggregate([generator_mul(scalar_to_bytes(5))])
    item = SigningItem(key_set, bytes(32))
    for operation in (
        lambda: KeySet.aggregate([first, second]),
        lambda: KeySet.aggregate_in_order([first]),
        lambda: SigningItem(key_set, first, second),
        lambda: aggregate_nonces([first]),
        lambda: adapt(first, second),
        lambda: extract(first, second, third),
        lambda: verify_partial(item, first, second, third, [key_set.members[0]]),
        lambda: aggregate_signatures([item], [first], [[second]]),
    ):
        try:
            operation()
        except CoreError:
            continue
        # Random bytes may happen to be a message of 32 bytes, and nothing more.
        assert isinstance(first, bytes)
        assert len(first) == 32
