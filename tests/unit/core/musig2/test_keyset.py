"""Key sets: order, equality, caching, tweaks against point arithmetic, refusals."""

import pytest

from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.musig2 import KeySet
from coordinator_core.secp256k1 import (
    generator_mul,
    lift_x,
    point_add,
    point_mul,
    point_negate,
    point_tweak_add,
    scalar_to_bytes,
    tagged_hash,
)

KEYS = [generator_mul(scalar_to_bytes(number)) for number in range(11, 16)]
ROOT = b"\x42" * 32


def test_order_of_the_input_does_not_matter() -> None:
    key_set = KeySet.aggregate(KEYS)
    assert KeySet.aggregate(list(reversed(KEYS))) == key_set
    assert hash(KeySet.aggregate(tuple(reversed(KEYS)))) == hash(key_set)
    assert key_set.members == tuple(sorted(KEYS))


def test_order_is_kept_where_asked() -> None:
    keys = sorted(KEYS, reverse=True)
    key_set = KeySet.aggregate_in_order(keys)
    assert key_set.members == tuple(keys)
    assert key_set != KeySet.aggregate(keys)
    assert key_set.public_key != KeySet.aggregate(keys).public_key


def test_equal_key_sets_are_the_same_object_while_cached() -> None:
    assert KeySet.aggregate(KEYS) is KeySet.aggregate(KEYS)
    assert KeySet.aggregate(KEYS).with_taproot_tweak(ROOT) is KeySet.aggregate(KEYS).with_taproot_tweak(ROOT)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_aggregate_is_the_weighted_sum(count: int) -> None:
    key_set = KeySet.aggregate(KEYS[:count])
    total = point_add([point_mul(key, key_set.coefficient(key)) for key in key_set.members])
    assert key_set.public_key == total
    assert key_set.x_only == total[1:]


def test_the_second_distinct_key_has_coefficient_one() -> None:
    key_set = KeySet.aggregate([KEYS[0], KEYS[0], KEYS[1]])
    second = max(KEYS[0], KEYS[1]) if key_set.members[0] == min(KEYS[0], KEYS[1]) else KEYS[0]
    assert key_set.coefficient(second) == scalar_to_bytes(1)
    assert KeySet.aggregate([KEYS[0], KEYS[0]]).coefficient(KEYS[0]) != scalar_to_bytes(1)


def key_sets_of_both_parities() -> list[KeySet]:
    found: dict[int, KeySet] = {}
    for number in range(1, 40):
        key_set = KeySet.aggregate([KEYS[0], generator_mul(scalar_to_bytes(1000 + number))])
        found.setdefault(key_set.public_key[0], key_set)
    return [found[2], found[3]]


@pytest.mark.parametrize("root", [b"", ROOT])
@pytest.mark.parametrize("parity", [0, 1])
def test_taproot_tweak_is_bip341(root: bytes, parity: int) -> None:
    key_set = key_sets_of_both_parities()[parity]
    tweak = tagged_hash("TapTweak", key_set.x_only + root)
    assert key_set.with_taproot_tweak(root).public_key == point_tweak_add(lift_x(key_set.x_only), tweak)


@pytest.mark.parametrize("parity", [0, 1])
def test_plain_tweak_keeps_the_parity_of_the_key(parity: int) -> None:
    key_set = key_sets_of_both_parities()[parity]
    tweaked = key_set.with_tweak(ROOT, x_only=False)
    assert tweaked.public_key == point_tweak_add(key_set.public_key, ROOT)
    assert tweaked.members == key_set.members
    assert tweaked != key_set


def test_tweaks_tell_key_sets_apart() -> None:
    key_set = KeySet.aggregate(KEYS)
    tweaked = {
        key_set,
        key_set.with_taproot_tweak(),
        key_set.with_taproot_tweak(ROOT),
        key_set.with_tweak(ROOT, x_only=True),
        key_set.with_tweak(ROOT, x_only=True).with_tweak(ROOT, x_only=False),
        key_set.with_tweak(ROOT, x_only=False),
    }
    assert len(tweaked) == 6
    assert key_set != "key set"


def test_tweaking_leaves_the_original_alone() -> None:
    key_set = KeySet.aggregate(KEYS)
    before = key_set.public_key, key_set.negates, key_set.tweak_term
    key_set.with_taproot_tweak(ROOT).with_tweak(ROOT, x_only=False)
    assert (key_set.public_key, key_set.negates, key_set.tweak_term) == before
    assert KeySet.aggregate(KEYS).with_taproot_tweak(b"").public_key != key_set.public_key


def test_duplicates_are_allowed_unless_refused() -> None:
    keys = [KEYS[0], KEYS[0], KEYS[1]]
    assert KeySet.aggregate(keys).members == tuple(sorted(keys))
    with pytest.raises(Refused) as refusal:
        KeySet.aggregate(keys, refuse_duplicates=True)
    assert refusal.value.field == "pubkeys"
    assert KeySet.aggregate(KEYS, refuse_duplicates=True) == KeySet.aggregate(KEYS)


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        (lambda: KeySet.aggregate([]), "pubkeys"),
        (lambda: KeySet.aggregate([KEYS[0], bytes(33)]), "pubkeys"),
        (lambda: KeySet.aggregate([KEYS[0], KEYS[0][1:]]), "pubkeys[1]"),
        (lambda: KeySet.aggregate([KEYS[0], None]), "pubkeys[1]"),  # type: ignore[list-item]
        (lambda: KeySet.aggregate(KEYS).with_taproot_tweak(b"\x01" * 31), "merkle root"),
        (lambda: KeySet.aggregate(KEYS).with_tweak(b"\xff" * 32, x_only=True), "tweak"),
        (lambda: KeySet.aggregate(KEYS).with_tweak(b"", x_only=True), "tweak"),
        (lambda: cancelling_tweak(), "tweak"),
    ],
)
def test_refusals_name_the_field(operation, field) -> None:
    with pytest.raises(InvalidInput) as refusal:
        operation()
    assert refusal.value.field == field


def cancelling_tweak() -> KeySet:
    key_set = KeySet.aggregate([generator_mul(scalar_to_bytes(7))])
    secret = 7 * int.from_bytes(key_set.coefficient(key_set.members[0]), "big")
    assert point_negate(key_set.public_key) == generator_mul(scalar_to_bytes(-secret))
    return key_set.with_tweak(scalar_to_bytes(-secret), x_only=False)
