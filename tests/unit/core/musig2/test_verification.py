"""Batch verification: the first bad signature is named, whatever its place, form and number of companions."""

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature
from coordinator_core.musig2 import KeySet, SigningItem, SoloSigner, pippenger, verify_batch
from coordinator_core.musig2 import batch as batch_module
from coordinator_core.musig2.coefficients import FAULT_BITS, SOUND_BITS, Coefficients, digit_bits
from coordinator_core.musig2.effective import effective_secret
from coordinator_core.musig2.equations import challenge, reduced
from coordinator_core.musig2.pairs import PointPairs
from coordinator_core.musig2.pippenger import PairRange, multiply
from coordinator_core.secp256k1 import (
    N,
    SecretKey,
    generator_mul,
    point_add,
    point_mul,
    point_negate,
    scalar_to_bytes,
    schnorr_verify,
    sha256,
)
from coordinator_core.secp256k1.points import parse_native, serialize_native

KEYS = [SecretKey.from_bytes(scalar_to_bytes(2_000 + number)) for number in range(5)]
KEY_SETS = [
    KeySet.aggregate([KEYS[0].public_key, key.public_key]).with_taproot_tweak(bytes([number]) * 32)
    for number, key in enumerate(KEYS[1:])
]
COUNT = 5_100


@pytest.fixture(scope="module")
def batch() -> tuple[list[SigningItem], list[bytes]]:
    points = [generator_mul(scalar_to_bytes(9_000 + number)) for number in range(97)]
    items = [
        SigningItem(
            KEY_SETS[number % 4], sha256(number.to_bytes(4, "big")), points[number % 97] if number % 3 else None
        )
        for number in range(COUNT)
    ]
    return items, SoloSigner(KEYS).sign(items, check=False)


def spoil_scalar(signature: bytes) -> bytes:
    return signature[:-1] + bytes((signature[-1] ^ 1,))


def spoil_nonce(signature: bytes) -> bytes:
    return generator_mul(b"\x03" * 32)[-(len(signature) - 32) :] + signature[-32:]


def wrong_length(signature: bytes) -> bytes:
    return signature[:-1]


def scalar_out_of_range(signature: bytes) -> bytes:
    return signature[:-32] + N.to_bytes(32, "big")


def nonce_off_curve(signature: bytes) -> bytes:
    return (b"\x02" + b"\xff" * 32)[-(len(signature) - 32) :] + signature[-32:]


def not_bytes(signature: bytes) -> str:
    return signature.hex()


MALFORMED = [wrong_length, scalar_out_of_range, nonce_off_curve, not_bytes]
SPOILERS = [spoil_scalar, spoil_nonce, *MALFORMED]


def reason(spoil) -> str:
    return "signature is malformed" if spoil in MALFORMED else "signature does not verify"


@pytest.mark.parametrize("count", [0, 1, 59, 60, 61, 998, 999, 1_000, 4_998, 4_999, COUNT])
@pytest.mark.parametrize("threads", [1, 2])
def test_good_batches_of_every_bucket_width_pass(batch, count: int, threads: int) -> None:
    items, signatures = batch
    verify_batch(items[:count], signatures[:count], threads=threads)


def test_batch_agrees_with_bip340(batch) -> None:
    items, signatures = batch
    plain = [(i, s) for i, s in zip(items, signatures, strict=True) if i.adaptor_point is None][:20]
    assert all(schnorr_verify(s, item.message, item.key_set.x_only) for item, s in plain)


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize(
    ("count", "index"), [(1, 0), (10, 7), (61, 60), (300, 0), (250, 240), (300, 299), (1_200, 653)]
)
@pytest.mark.parametrize("threads", [1, 2])
def test_one_bad_signature_is_named(batch, spoil, count: int, index: int, threads: int) -> None:
    items, signatures = batch[0][:count], batch[1][:count]
    signatures[index] = spoil(signatures[index])
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures, threads=threads)
    assert refusal.value.index == index
    assert refusal.value.reason == reason(spoil)


@pytest.mark.parametrize("first", SPOILERS)
@pytest.mark.parametrize("second", SPOILERS)
def test_of_two_bad_signatures_the_first_is_named(batch, first, second) -> None:
    items, signatures = batch[0][:1_200], batch[1][:1_200]
    signatures[650], signatures[17] = first(signatures[650]), second(signatures[17])
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures, threads=2)
    assert refusal.value.index == 17
    assert refusal.value.reason == reason(second)


@pytest.mark.parametrize("other", [1, 2, 13, 50, 99])
@pytest.mark.parametrize("sign", [1, -1])
def test_errors_that_cancel_out_are_found(batch, other: int, sign: int) -> None:
    """Rows 0 and 1 have the coefficients a and z * a, rows 0 and 2 two independent ones."""
    items, signatures = batch[0][:100], batch[1][:100]
    for index, step in ((0, 1), (other, sign)):
        s = int.from_bytes(signatures[index][-32:], "big") + step
        signatures[index] = signatures[index][:-32] + scalar_to_bytes(s)
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures)
    assert refusal.value.index == 0


@pytest.mark.parametrize("spoil", [spoil_scalar, nonce_off_curve])
@pytest.mark.parametrize("count", [130, 131])
def test_a_bad_signature_is_named_at_every_index(batch, spoil, count: int) -> None:
    items, signatures = batch[0][:count], batch[1][:count]
    for index in range(count):
        spoiled = [*signatures[:index], spoil(signatures[index]), *signatures[index + 1 :]]
        with pytest.raises(InvalidSignature) as refusal:
            verify_batch(items, spoiled)
        assert refusal.value.index == index


def signed_with_nonce(item: SigningItem, key: SecretKey, nonce: int) -> bytes:
    """An adaptor signature with a nonce of the test's choice."""
    assert item.adaptor_point is not None
    x = int.from_bytes(effective_secret(item.key_set, {key.public_key: key}, "key").reveal(), "big")
    point = generator_mul(scalar_to_bytes(nonce))
    adapted = point_add([point, item.adaptor_point])
    e = int.from_bytes(challenge(adapted[1:], item), "big")
    return point + scalar_to_bytes((nonce if adapted[0] == 2 else -nonce) + e * x)


@pytest.mark.parametrize("count", [64, 65, 1_200])
def test_nonces_that_cancel_in_buckets_pass(count: int) -> None:
    """One key signs everything with k and -k: in every window some bucket would be infinity."""
    key_set = KeySet.aggregate([KEYS[0].public_key])
    point = generator_mul(scalar_to_bytes(77))
    items = [SigningItem(key_set, sha256(b"cancel %d" % number), point) for number in range(count)]
    nonces = [(5, 5, -5, -5)[number % 4] for number in range(count)]
    signatures = [signed_with_nonce(i, KEYS[0], nonce) for i, nonce in zip(items, nonces, strict=True)]
    verify_batch(items, signatures)
    signatures[-1] = spoil_scalar(signatures[-1])
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures)
    assert refusal.value.index == count - 1


def test_nonces_that_do_not_cancel_are_added_once(batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """So few that digits are left out: a bucket that nothing falls into is not one that cancelled."""
    blinded: list[object] = []
    original = pippenger._blinded
    monkeypatch.setattr(pippenger, "_blinded", lambda *given: blinded.append(given) or original(*given))
    for _ in range(30):
        verify_batch(batch[0][:60], batch[1][:60])
    assert not blinded


def test_swapped_signatures_are_found(batch) -> None:
    items, signatures = batch[0][:100], batch[1][:100]
    signatures[10], signatures[13] = signatures[13], signatures[10]
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures)
    assert refusal.value.index == 10


def test_the_kind_of_signature_is_named(batch) -> None:
    items, signatures = batch
    for item, signature in zip(items[:2], signatures[:2], strict=True):
        with pytest.raises(InvalidSignature) as refusal:
            verify_batch([item], [spoil_scalar(signature)])
        assert refusal.value.what == ("signature" if item.adaptor_point is None else "adaptor signature")


def test_hashes_are_reduced_by_the_group_order() -> None:
    assert reduced((N + 5).to_bytes(32, "big")) == scalar_to_bytes(5)
    assert reduced(N.to_bytes(32, "big")) == bytes(32)
    assert reduced(scalar_to_bytes(-1)) == scalar_to_bytes(-1)


def test_zero_scalars_are_refused(batch) -> None:
    items, signatures = batch[0][:2], batch[1][:2]
    with pytest.raises(InvalidSignature):
        verify_batch(items, [signature[:-32] + bytes(32) for signature in signatures])


@pytest.mark.parametrize(("count", "index"), [(2, 1), (3, 2), (5, 4), (6, 4), (6, 5)])
def test_a_nonce_that_cancels_the_adaptor_point_is_malformed(batch, count: int, index: int) -> None:
    """Beside a plain signature, without a partner, and first or second of two that are adapted together."""
    items, signatures = batch[0][:count], batch[1][:count]
    signatures[index] = point_negate(items[index].adaptor_point) + signatures[index][33:]
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures)
    assert refusal.value.index == index
    assert refusal.value.reason == "signature is malformed"


@pytest.mark.parametrize(("kwargs", "field"), [({}, "signatures"), ({"threads": 0}, "threads")])
def test_refusals(batch, kwargs, field) -> None:
    items, signatures = batch
    with pytest.raises(InvalidInput) as refusal:
        verify_batch(items[:2], signatures[: 1 if field == "signatures" else 2], **kwargs)
    assert refusal.value.field == field


@pytest.mark.parametrize("size", [SOUND_BITS, FAULT_BITS])
@pytest.mark.parametrize("count", [1, 2, 17, 300, 1_000, 1_001, 5_001])
def test_multiplication_is_the_sum_of_products(count: int, size: int) -> None:
    points = [generator_mul(scalar_to_bytes(3 + number)) for number in range(count)]
    pairs = PointPairs.of([parse_native(point) for point in points])
    coefficients = Coefficients(pairs.count, size)
    weights = [number * factor for number in coefficients.numbers() for factor in (1, coefficients.z)]
    points += [generator_mul(scalar_to_bytes(1))] * (count % 2)
    expected = point_add([point_mul(p, scalar_to_bytes(a)) for p, a in zip(points, weights, strict=True)])
    half = pairs.count // 2
    found = multiply([PairRange(pairs, 0, half), PairRange(pairs, half, pairs.count)], coefficients)
    assert serialize_native(found) == expected


@pytest.mark.parametrize("size", [SOUND_BITS, FAULT_BITS])
@pytest.mark.parametrize("pairs", [2, 499, 500, 2_499, 2_500])
def test_coefficients_are_numbers_of_the_size_asked_for(pairs: int, size: int) -> None:
    coefficients = Coefficients(pairs, size)
    numbers, bits, half = coefficients.numbers(), coefficients.bits, coefficients.half
    assert bits == digit_bits(pairs)
    assert size <= bits * coefficients.windows <= size + 8
    read = [0] * pairs
    for digits in coefficients.digits():
        read = [(number << bits) + digit - half for number, digit in zip(read, digits, strict=True)]
    assert read == numbers
    assert len(set(numbers)) == pairs
    assert all(-(1 << bits * coefficients.windows) < number < 1 << bits * coefficients.windows for number in numbers)
    assert pairs < 100 or (max(numbers) >> (size - 5) and -min(numbers) >> (size - 5))
    assert coefficients.z >> 200
    assert Coefficients(pairs, size).numbers() != numbers
    assert Coefficients(pairs, size).z != coefficients.z


def test_strangers_signatures_are_weighted_with_more_bits_than_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def recorded(count: int, size: int) -> Coefficients:
        sizes.append(size)
        return Coefficients(count, size)

    monkeypatch.setattr(batch_module, "Coefficients", recorded)
    items = [SigningItem(KeySet.aggregate([key.public_key for key in KEYS]), sha256(b"%d" % i)) for i in range(80)]
    signatures = SoloSigner(KEYS).sign(items)
    verify_batch(items, signatures)
    assert sizes == [64, 96]


@pytest.mark.parametrize("count", [2, 600, 2_600])
def test_multiplication_to_infinity(count: int) -> None:
    """A pair and its negation under the same digits."""
    point = generator_mul(scalar_to_bytes(3))
    halves = [[point] * count, [point_negate(point)] * count]
    pairs = PointPairs.of([parse_native(p) for half in halves for p in half])
    coefficients = Coefficients(pairs.count)
    size = len(coefficients._raw) // 2
    coefficients._raw = coefficients._raw[:size] * 2
    assert multiply([PairRange(pairs, 0, pairs.count)], coefficients) is None


def test_points_are_kept_in_pairs() -> None:
    points = [generator_mul(scalar_to_bytes(number)) for number in (3, 4, 5)]
    pairs = PointPairs.of([parse_native(point) for point in points])
    assert pairs.count == 2
    assert [*map(serialize_native, pairs.points)] == points
    negated = pairs.negated(1, 2)
    padding = generator_mul(scalar_to_bytes(1))
    assert [*map(serialize_native, negated.points)] == [point_negate(points[2]), point_negate(padding)]
    sums = PointPairs(2)
    sums.write_sum(0, [pairs.pair(0), pairs.pair(1), pairs.pair(1)])
    expected = [point_add([points[0], points[2], points[2]]), point_add([points[1], padding, padding])]
    assert [*map(serialize_native, sums.points)] == expected
