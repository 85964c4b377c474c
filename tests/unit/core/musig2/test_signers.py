"""Signers: one use of a nonce, what is fixed by it, several keys in one process, blame, wiping."""

import copy
import os
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature, Misuse
from coordinator_core.musig2 import (
    KeySet,
    MultiSigner,
    SigningItem,
    SoloSigner,
    aggregate_nonces,
    aggregate_signatures,
    is_adaptor_point,
    verify,
    verify_batch,
    verify_partial,
)
from coordinator_core.secp256k1 import SecretKey, generator_mul, point_negate, scalar_to_bytes, sha256
from coordinator_core.secp256k1.native import ffi

KEYS = [SecretKey.from_bytes(scalar_to_bytes(1_000 + number)) for number in range(4)]
PUBLIC = [key.public_key for key in KEYS]
ALL = KeySet.aggregate(PUBLIC).with_taproot_tweak(b"\x07" * 32)
PAIR = KeySet.aggregate(PUBLIC[1:3])
POINT = generator_mul(scalar_to_bytes(77))
ITEMS = [
    SigningItem(ALL, sha256(b"outcome"), POINT),
    SigningItem(ALL, sha256(b"expiry")),
    SigningItem(PAIR, sha256(b"split")),
]


def run(groups: list[list[SecretKey]], items: list[SigningItem]) -> list[bytes]:
    """Sign with one MultiSigner a group, each taking part in every item."""
    signers = [MultiSigner(group) for group in groups]
    nonces = [signer.nonces(items) for signer in signers]
    aggregated = [aggregate_nonces(column) for column in zip(*nonces, strict=True)]
    partials = [signer.sign(aggregated) for signer in signers]
    return aggregate_signatures(items, aggregated, list(zip(*partials, strict=True)))


@pytest.mark.parametrize("split", [[1, 1, 1, 1], [2, 2], [1, 3], [4]])
def test_any_division_of_the_keys_signs(split: list[int]) -> None:
    groups, start = [], 0
    for size in split:
        groups.append(KEYS[start : start + size])
        start += size
    items = ITEMS[:2]
    signatures = run(groups, items)
    verify_batch(items, signatures)
    assert [len(signature) for signature in signatures] == [65, 64]


def test_solo_signs_all_key_sets_it_holds() -> None:
    signatures = SoloSigner(KEYS).sign(ITEMS)
    verify_batch(ITEMS, signatures)
    assert SoloSigner(KEYS).sign([]) == []


def test_solo_draws_fresh_nonces() -> None:
    signer = SoloSigner(KEYS)
    first, second = signer.sign(ITEMS), signer.sign(ITEMS)
    assert all(one[:32] != other[:32] for one, other in zip(first, second, strict=True))


def test_the_same_message_under_two_points_gets_two_nonces() -> None:
    other = SigningItem(ALL, ITEMS[0].message, generator_mul(scalar_to_bytes(78)))
    first, second = SoloSigner(KEYS).sign([ITEMS[0], other])
    assert first[:33] != second[:33]
    nonces = MultiSigner(KEYS[:1]).nonces([ITEMS[0], other])
    assert nonces[0][:33] != nonces[1][:33]


@pytest.fixture
def broken_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system's generator gives the same bytes each time."""
    from coordinator_core.musig2 import multi, solo

    for module in (multi, solo):
        monkeypatch.setattr(module, "fill_random", lambda pointer, size: ffi.memmove(pointer, b"\x01" * size, size))


@pytest.mark.usefixtures("broken_generator")
@pytest.mark.parametrize(
    "other",
    [
        SigningItem(ALL, ITEMS[0].message, generator_mul(scalar_to_bytes(78))),
        SigningItem(ALL, ITEMS[0].message),
        SigningItem(ALL, sha256(b"another message"), POINT),
        SigningItem(KeySet.aggregate(PUBLIC), ITEMS[0].message, POINT),
    ],
)
def test_nonces_differ_even_without_randomness(other: SigningItem) -> None:
    nonces = [MultiSigner(KEYS).nonces([item])[0][:33] for item in (ITEMS[0], ITEMS[0], other)]
    assert nonces[0] == nonces[1] != nonces[2]
    signed = [SoloSigner(KEYS).sign([item])[0] for item in (ITEMS[0], ITEMS[0], other)]
    nonce = [s[1:33] if len(s) == 65 else s[:32] for s in signed]
    assert nonce[0] == nonce[1] != nonce[2]


def test_solo_needs_every_key() -> None:
    with pytest.raises(InvalidInput) as refusal:
        SoloSigner(KEYS[:3]).sign(ITEMS)
    assert refusal.value.field == "secret keys"


def test_solo_checks_before_it_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    from coordinator_core.musig2 import solo

    def faulty(product, secret, nonce, challenge, odd) -> None:
        honest(product, secret, nonce, challenge, odd)
        product[31] = product[31] ^ 1

    honest = solo._make_scalar
    monkeypatch.setattr(solo, "_make_scalar", faulty)
    with pytest.raises(InvalidSignature) as refusal:
        SoloSigner(KEYS).sign(ITEMS)
    assert refusal.value.index == 0
    assert len(SoloSigner(KEYS).sign(ITEMS, check=False)) == len(ITEMS)


def test_many_threads_sign_the_same() -> None:
    items = [SigningItem(PAIR, sha256(number.to_bytes(2, "big"))) for number in range(1_100)]
    verify_batch(items, SoloSigner(KEYS).sign(items, threads=2), threads=2)
    signer = MultiSigner(KEYS[1:3])
    aggregated = [aggregate_nonces([nonce]) for nonce in signer.nonces(items, threads=2)]
    partials = [[partial] for partial in signer.sign(aggregated, threads=2)]
    verify_batch(items, aggregate_signatures(items, aggregated, partials, threads=2))


class TestNonces:
    def test_sign_twice(self) -> None:
        signer = MultiSigner(KEYS)
        aggregated = signer.nonces(ITEMS)
        signer.sign(aggregated)
        with pytest.raises(Misuse):
            signer.sign(aggregated)

    def test_sign_without_nonces(self) -> None:
        with pytest.raises(Misuse):
            MultiSigner(KEYS).sign([])

    def test_nonces_twice(self) -> None:
        signer = MultiSigner(KEYS)
        signer.nonces(ITEMS)
        with pytest.raises(Misuse):
            signer.nonces(ITEMS)

    def test_nonces_after_signing(self) -> None:
        signer = MultiSigner(KEYS)
        signer.sign(signer.nonces(ITEMS))
        with pytest.raises(Misuse):
            signer.nonces(ITEMS)

    def test_abort(self) -> None:
        signer = MultiSigner(KEYS)
        aggregated = signer.nonces(ITEMS)
        memory, size = signer._round.secret_nonces.pointer, signer._round.secret_nonces._size
        assert ffi.buffer(memory, size)[:] != bytes(size)
        signer.abort()
        assert ffi.buffer(memory, size)[:] == bytes(size)
        signer.abort()
        with pytest.raises(Misuse):
            signer.sign(aggregated)

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda nonces: nonces[:-1],
            lambda nonces: [*nonces[:-1], nonces[-1][:-1]],
            lambda nonces: [*nonces[:-1], b"\x04" + nonces[-1][1:]],
            lambda nonces: [*nonces[:-1], nonces[-1][:33] + b"\x02" + b"\xff" * 32],
        ],
    )
    def test_malformed_aggregated_nonces_burn_the_session(self, spoil) -> None:
        signer = MultiSigner(KEYS)
        nonces = signer.nonces(ITEMS)
        memory, size = signer._round.secret_nonces.pointer, signer._round.secret_nonces._size
        with pytest.raises(InvalidInput) as refusal:
            signer.sign(spoil(nonces))
        assert refusal.value.field.startswith("aggregated nonces")
        assert ffi.buffer(memory, size)[:] == bytes(size)
        with pytest.raises(Misuse):
            signer.sign(nonces)

    def test_the_library_itself_refuses_a_used_nonce(self) -> None:
        from coordinator_core.musig2.multi import _sign
        from coordinator_core.musig2.session import Sessions

        signer = MultiSigner(KEYS)
        nonces = signer.nonces(ITEMS[:1])
        sessions, key = Sessions(ITEMS[:1], nonces), signer._round.keys[id(ALL)]
        nonce = signer._round.secret_nonces.pointer
        _sign(nonce, key, sessions.at(0))
        with pytest.raises(Misuse):
            _sign(nonce, key, sessions.at(0))

    @pytest.mark.parametrize("copying", [copy.copy, copy.deepcopy, pickle.dumps])
    def test_unused_nonces_cannot_be_copied(self, copying) -> None:
        signer = MultiSigner(KEYS)
        signer.nonces(ITEMS)
        with pytest.raises(Misuse):
            copying(signer)

    def test_a_fork_cannot_sign(self, monkeypatch: pytest.MonkeyPatch) -> None:
        signer = MultiSigner(KEYS)
        nonces = signer.nonces(ITEMS)
        parent = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(Misuse, match="fork"):
            signer.sign(nonces)
        monkeypatch.undo()
        assert len(signer.sign(nonces)) == len(ITEMS)

    def test_threads_that_race_sign_once(self) -> None:
        signer = MultiSigner(KEYS)
        nonces = signer.nonces(ITEMS)
        with ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(signer.sign, nonces) for _ in range(32)]
        refused = [future for future in futures if isinstance(future.exception(), Misuse)]
        assert len(refused) == 31


class TestWhatTheNonceFixes:
    def test_items_cannot_be_exchanged_after_the_nonces(self) -> None:
        items = list(ITEMS)
        signer = MultiSigner(KEYS)
        aggregated = signer.nonces(items)
        items[0] = SigningItem(ALL, sha256(b"something else"), POINT)
        signatures = aggregate_signatures(ITEMS, aggregated, [[p] for p in signer.sign(aggregated)])
        verify_batch(ITEMS, signatures)

    @pytest.mark.parametrize("name", ["message", "key_set", "adaptor_point", "native_adaptor_point"])
    def test_an_item_is_immutable(self, name: str) -> None:
        with pytest.raises(AttributeError):
            setattr(ITEMS[0], name, None)

    def test_a_share_made_for_one_point_is_worthless_for_another(self) -> None:
        signer = MultiSigner(KEYS)
        aggregated = signer.nonces(ITEMS[:1])
        partials = [signer.sign(aggregated)]
        other = [SigningItem(ALL, ITEMS[0].message, generator_mul(scalar_to_bytes(78)))]
        with pytest.raises(InvalidSignature):
            aggregate_signatures(other, aggregated, partials)


def test_items_compare_by_value() -> None:
    twin = SigningItem(ALL, sha256(b"outcome"), POINT)
    assert twin == ITEMS[0]
    assert hash(twin) == hash(ITEMS[0])
    assert twin != ITEMS[1]
    assert twin != tuple(twin)
    assert ITEMS[0].adaptor_point.hex() in repr(ITEMS[0])


@pytest.mark.parametrize("point", [bytes(33), b"\x02" + b"\xff" * 32, bytes(32), bytearray(33), [], None, "02" * 33])
def test_what_is_no_adaptor_point(point) -> None:
    assert is_adaptor_point(ITEMS[0].adaptor_point)
    assert not is_adaptor_point(point)
    if point is not None:
        with pytest.raises(InvalidInput) as refusal:
            SigningItem(PAIR, bytes(32), point)
        assert refusal.value.field == "adaptor point"


def test_a_signer_without_keys_or_with_strange_items_is_refused() -> None:
    for make in (lambda: MultiSigner([]), lambda: SoloSigner([])):
        with pytest.raises(InvalidInput) as refusal:
            make()
        assert refusal.value.field == "secret keys"
    with pytest.raises(InvalidInput) as refusal:
        MultiSigner(KEYS[:1]).nonces(ITEMS)
    assert refusal.value.field == "items[2].key_set"


class TestBlame:
    def setup_method(self) -> None:
        self.item = ITEMS[0]
        self.groups = [KEYS[:2], KEYS[2:]]
        signers = [MultiSigner(group) for group in self.groups]
        self.nonces = [signer.nonces([self.item])[0] for signer in signers]
        self.aggregated = aggregate_nonces(self.nonces)
        self.partials = [signer.sign([self.aggregated])[0] for signer in signers]

    def check(self, signer: int, partial: bytes, keys: list[SecretKey]) -> None:
        points = [key.public_key for key in keys]
        verify_partial(self.item, self.aggregated, self.nonces[signer], partial, points)

    def test_honest_shares_verify(self) -> None:
        for signer, group in enumerate(self.groups):
            self.check(signer, self.partials[signer], group)

    def test_a_bad_share_is_found(self) -> None:
        spoiled = scalar_to_bytes(int.from_bytes(self.partials[1], "big") + 1)
        with pytest.raises(InvalidSignature) as refusal:
            aggregate_signatures([self.item], [self.aggregated], [[self.partials[0], spoiled]])
        assert refusal.value.index == 0
        self.check(0, self.partials[0], self.groups[0])
        with pytest.raises(InvalidSignature):
            self.check(1, spoiled, self.groups[1])

    def test_a_share_belongs_to_its_keys_and_nonce(self) -> None:
        with pytest.raises(InvalidSignature):
            self.check(0, self.partials[0], KEYS[:1])
        with pytest.raises(InvalidSignature):
            self.check(1, self.partials[0], self.groups[0])

    @pytest.mark.parametrize("keys", [[], [SecretKey.from_bytes(scalar_to_bytes(5))]])
    def test_strangers_are_refused(self, keys: list[SecretKey]) -> None:
        with pytest.raises(InvalidInput) as refusal:
            self.check(0, self.partials[0], keys)
        assert refusal.value.field == "signer keys"

    def test_a_share_out_of_range_is_refused(self) -> None:
        with pytest.raises(InvalidSignature):
            self.check(0, b"\xff" * 32, self.groups[0])
        for share in (b"\xff" * 32, b"\x01" * 31):
            with pytest.raises(InvalidInput) as refusal:
                aggregate_signatures([self.item], [self.aggregated], [[self.partials[0], share]])
            assert refusal.value.field == "partials[0][1]"

    def test_lists_must_match(self) -> None:
        with pytest.raises(InvalidInput) as refusal:
            aggregate_signatures([self.item], [self.aggregated], [])
        assert refusal.value.field == "partials"
        with pytest.raises(InvalidInput) as refusal:
            aggregate_signatures([self.item], [], [self.partials])
        assert refusal.value.field == "aggregated nonces"


def test_aggregated_nonces_at_infinity_follow_bip327() -> None:
    """A co-signer may cancel the others' nonces; BIP327 then puts the generator in place of infinity."""
    first = MultiSigner(KEYS[:2]).nonces(ITEMS[:1])[0]
    cancelling = point_negate(first[:33]) + point_negate(first[33:])
    aggregated = aggregate_nonces([first, cancelling])
    assert aggregated == bytes(66)
    signer = MultiSigner(KEYS[2:])
    signer.nonces(ITEMS[1:2])
    from coordinator_core.musig2.guard import library_session
    from coordinator_core.musig2.session import Sessions

    sessions = Sessions(ITEMS[1:2], [aggregated])
    assert ffi.buffer(sessions.at(0), 133)[:] == library_session(ITEMS[1], aggregated)
    assert len(signer.sign([aggregated])[0]) == 32


@pytest.mark.parametrize("half", [0, 1])
def test_half_of_the_aggregated_nonce_at_infinity(half: int) -> None:
    from coordinator_core.musig2.guard import library_session
    from coordinator_core.musig2.session import Sessions

    aggregated = bytes(33) + POINT if half == 0 else POINT + bytes(33)
    sessions = Sessions(ITEMS[1:2], [aggregated])
    assert ffi.buffer(sessions.at(0), 133)[:] == library_session(ITEMS[1], aggregated)


def test_an_aggregated_nonce_that_cancels_the_adaptor_point_is_refused() -> None:
    """Only R2 at infinity lets a co-signer aim: then R = R1, and R1 = -T makes the adapted nonce infinity."""
    signer = MultiSigner(KEYS)
    signer.nonces(ITEMS[:1])
    with pytest.raises(InvalidInput) as refusal:
        signer.sign([point_negate(POINT) + bytes(33)])
    assert refusal.value.field == "aggregated nonces[0]"


@pytest.mark.parametrize("nonces", [[], [bytes(66)], [POINT], [POINT + bytes(33)], [None]])
def test_aggregating_nonces_refuses(nonces) -> None:
    with pytest.raises(InvalidInput) as refusal:
        aggregate_nonces(nonces)
    assert refusal.value.field.startswith("nonces")


def test_verify_single() -> None:
    [signature] = SoloSigner(KEYS).sign(ITEMS[1:2])
    verify(ITEMS[1], signature)
    with pytest.raises(InvalidSignature):
        verify(ITEMS[2], signature)
