"""Batch verification: the first bad signature is named, whatever its place, form and number of companions."""

import pytest

from coordinator_core.errors import InvalidInput, InvalidSignature
from coordinator_core.musig2 import KeySet, SigningItem, SoloSigner, verify_batch
from coordinator_core.musig2 import batch as batch_module
from coordinator_core.musig2.equations import reduced
from coordinator_core.musig2.pippenger import FAULT_BITS, SOUND_BITS, Coefficients, digit_bits, multiply
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


@pytest.mark.parametrize("count", [0, 1, 59, 60, 259, 260, 899, 900, 4_999, 5_000, COUNT])
@pytest.mark.parametrize("threads", [1, 2])
def test_good_batches_of_every_bucket_width_pass(batch, count: int, threads: int) -> None:
    items, signatures = batch
    verify_batch(items[:count], signatures[:count], threads=threads)


def test_batch_agrees_with_bip340(batch) -> None:
    items, signatures = batch
    plain = [(i, s) for i, s in zip(items, signatures, strict=True) if i.adaptor_point is None][:20]
    assert all(schnorr_verify(s, item.message, item.key_set.x_only) for item, s in plain)


@pytest.mark.parametrize("spoil", SPOILERS)
@pytest.mark.parametrize(("count", "index"), [(1, 0), (10, 7), (61, 60), (300, 0), (300, 299), (1_200, 653)])
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


def test_errors_that_cancel_out_are_found(batch) -> None:
    """Without random coefficients +1 on one scalar and -1 on another would pass."""
    items, signatures = batch[0][:100], batch[1][:100]
    for index, step in ((0, 1), (12, -1)):
        s = int.from_bytes(signatures[index][-32:], "big") + step
        signatures[index] = signatures[index][:-32] + scalar_to_bytes(s)
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures)
    assert refusal.value.index == 0


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


def test_a_nonce_that_cancels_the_adaptor_point_is_malformed(batch) -> None:
    item, signature = batch[0][1], batch[1][1]
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch([item], [point_negate(item.adaptor_point) + signature[33:]])
    assert refusal.value.reason == "signature is malformed"


@pytest.mark.parametrize(("kwargs", "field"), [({}, "signatures"), ({"threads": 0}, "threads")])
def test_refusals(batch, kwargs, field) -> None:
    items, signatures = batch
    with pytest.raises(InvalidInput) as refusal:
        verify_batch(items[:2], signatures[: 1 if field == "signatures" else 2], **kwargs)
    assert refusal.value.field == field


@pytest.mark.parametrize("size", [SOUND_BITS, FAULT_BITS])
@pytest.mark.parametrize("count", [1, 2, 17, 300, 1_000])
def test_multiplication_is_the_sum_of_products(count: int, size: int) -> None:
    points = [generator_mul(scalar_to_bytes(3 + number)) for number in range(count)]
    coefficients = Coefficients(count, size)
    numbers = coefficients.numbers()
    assert all(0 <= number < 1 << (size + digit_bits(count)) for number in numbers)
    assert count < 300 or max(numbers) >> (size - 4)
    assert len(set(numbers)) == count
    expected = point_add([point_mul(p, scalar_to_bytes(a)) for p, a in zip(points, numbers, strict=True)])
    assert serialize_native(multiply([parse_native(point) for point in points], coefficients)) == expected


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


def test_multiplication_to_infinity() -> None:
    coefficients = Coefficients(2)
    coefficients.digits = b"\x05" * len(coefficients.digits)
    point = generator_mul(scalar_to_bytes(3))
    assert multiply([parse_native(point), parse_native(point_negate(point))], coefficients) is None
    coefficients.digits = bytes(len(coefficients.digits))
    assert multiply([parse_native(point), parse_native(point)], coefficients) is None
