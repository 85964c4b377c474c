"""Batches over many key sets of few members, whose keys are taken apart into members."""

from itertools import combinations

import pytest

from coordinator_core.errors import InvalidSignature
from coordinator_core.musig2 import KeySet, SigningItem, SoloSigner, confirm_forms, verify_batch
from coordinator_core.musig2 import batch as batch_module
from coordinator_core.secp256k1 import SecretKey, generator_mul, point_add, point_mul, scalar_to_bytes, sha256
from coordinator_core.secp256k1.points import serialize_native

KEYS = [SecretKey.from_bytes(scalar_to_bytes(3_000 + number)) for number in range(5)]
POINT = generator_mul(scalar_to_bytes(44))


def fresh_key_sets(salt: int) -> list[KeySet]:
    """Twenty key sets, untweaked and tweaked, that no other test has verified with."""
    groups = [*combinations(KEYS, 2), *combinations(KEYS, 3)]
    plain = [KeySet.aggregate([key.public_key for key in group]) for group in groups]
    root = sha256(b"batch %d" % salt)
    return [k.with_taproot_tweak(root) if i % 3 else k.with_tweak(root, x_only=False) for i, k in enumerate(plain)]


def signed(salt: int, count: int = 120) -> tuple[list[SigningItem], list[bytes]]:
    key_sets = fresh_key_sets(salt)
    items = [
        SigningItem(key_sets[i % 20], sha256(b"%d %d" % (salt, i)), POINT if i % 4 == 0 else None) for i in range(count)
    ]
    return items, SoloSigner(KEYS).sign(items, check=False)


@pytest.fixture
def by_key_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail if the keys are not taken apart."""
    monkeypatch.delattr(batch_module, "linear_combination")


@pytest.mark.parametrize("salt", range(4))
def test_the_linear_form_is_the_even_aggregate(salt: int) -> None:
    for key_set in fresh_key_sets(salt):
        tweak, form = key_set.linear_form()
        terms = [point_mul(m, scalar_to_bytes(c)) for m, c in zip(key_set.members, form, strict=True)]
        terms += [generator_mul(scalar_to_bytes(tweak))] if tweak else []
        assert point_add(terms) == serialize_native(key_set.even_point)


@pytest.mark.usefixtures("by_key_refused")
def test_good_batches_pass_and_confirm_the_forms() -> None:
    items, signatures = signed(100)
    assert not any(item.key_set.form_confirmed for item in items)
    verify_batch(items, signatures)
    assert all(item.key_set.form_confirmed for item in items)
    verify_batch(items, signatures)


@pytest.mark.usefixtures("by_key_refused")
@pytest.mark.parametrize("confirmed", [True, False])
@pytest.mark.parametrize("index", [0, 57, 119])
def test_one_bad_signature_is_named(confirmed: bool, index: int) -> None:
    items, signatures = signed(200 + index + confirmed)
    if confirmed:
        verify_batch(items, signatures)
    signatures[index] = signatures[index][:-1] + bytes((signatures[index][-1] ^ 1,))
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures)
    assert refusal.value.index == index


def test_a_wrong_linear_form_never_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures made with a miscounted coefficient satisfy the miscounted form, but not the library's aggregate."""
    honest = KeySet.coefficient
    target = fresh_key_sets(300)[7]

    def miscounted(self: KeySet, member: bytes) -> bytes:
        scalar = int.from_bytes(honest(self, member), "big")
        return scalar_to_bytes(scalar + 1) if self is target and member == target.members[0] else honest(self, member)

    monkeypatch.setattr(KeySet, "coefficient", miscounted)
    items, signatures = signed(300)
    with pytest.raises(InvalidSignature) as refusal:
        verify_batch(items, signatures)
    assert refusal.value.index == 7
    assert not target.form_confirmed


def test_forms_are_confirmed_where_a_contract_is_built_and_only_if_all_are_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key_sets = fresh_key_sets(301)
    assert not confirm_forms(key_sets[:3]), "three sets of more than two members save nothing"
    honest = KeySet.coefficient
    monkeypatch.setattr(KeySet, "coefficient", lambda self, member: honest(self, self.members[0]))
    assert not confirm_forms(key_sets)
    assert not any(key_set.form_confirmed for key_set in key_sets)
    monkeypatch.undo()
    assert confirm_forms(fresh_key_sets(302))
    assert all(key_set.form_confirmed for key_set in fresh_key_sets(302)), "equal key sets are one object"


@pytest.mark.parametrize("threads", [1, 2])
def test_one_key_set_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    monkeypatch.delattr(batch_module, "sum_by_member")
    key_set = KeySet.aggregate([key.public_key for key in KEYS])
    items = [SigningItem(key_set, sha256(b"%d" % i)) for i in range(1_000)]
    verify_batch(items, SoloSigner(KEYS).sign(items), threads=threads)
