from __future__ import annotations

import json
from typing import Any

import pytest

from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.encrypted_data import Context, encrypt_field
from coordinator_core.keymeld.plan import fresh_id, plan_batches
from coordinator_core.keymeld.results import EncryptedResult, open_signatures
from coordinator_core.musig2 import SigningItem, SoloSigner
from coordinator_core.units import Seconds


class Signed:
    """A batch of a contract, signed by somebody who holds every key."""

    def __init__(self, keygen: Any) -> None:
        self.secret = keygen.credentials.session_secret
        self.items: list[SigningItem] = keygen.contract_items()
        (self.plain,) = plan_batches(self.items, keygen.verified())
        encrypted = [EncryptedItem.encrypt(item, self.secret) for item in self.plain]
        self.batch = SignedBatch.sign(
            keygen.keygen_session_id, fresh_id(), Seconds(7200), encrypted, keygen.credentials.creator_key
        )
        self.signatures = SoloSigner(list(keygen.keys.values())).sign(self.items)

    def results(self, signatures: list[bytes] | None = None) -> list[EncryptedResult]:
        chosen = signatures or self.signatures
        return [self.result(index, signature) for index, signature in enumerate(chosen)][::-1]

    def result(self, index: int, signature: bytes) -> EncryptedResult:
        item = self.plain[index]
        if item.adaptor is None:
            return EncryptedResult(item.batch_item_id, encrypt_field(self.secret, Context.SIGNATURE, signature), None)
        entry = {
            "adaptor_id": item.adaptor.adaptor_id,
            "adaptor_type": "Single",
            "signature_scalar": list(signature),
            "nonce_point": [2] * 66,
            "adaptor_points": [list(item.adaptor.point)],
            "hints": None,
            "aggregate_adaptor_point": list(item.adaptor.point),
        }
        body = json.dumps({item.adaptor.adaptor_id: entry}).encode()
        text = encrypt_field(self.secret, Context.ADAPTOR_SIGNATURES, body)
        return EncryptedResult(item.batch_item_id, None, text)

    def open(self, results: list[EncryptedResult], items: list[SigningItem] | None = None) -> tuple[bytes, ...]:
        return open_signatures(self.secret, self.batch, results, items or self.items)


@pytest.fixture
def signed(keygen: Any) -> Signed:
    return Signed(keygen)


def test_results_in_any_order_come_back_in_the_batchs(signed: Signed) -> None:
    signatures = signed.open(signed.results())
    assert list(signatures) == signed.signatures
    assert {len(signature) for signature in signatures[:4]} == {65}
    assert {len(signature) for signature in signatures[4:]} == {64}


@pytest.mark.parametrize("index", [0, 3, 4, 13])
def test_one_wrong_signature_is_named(signed: Signed, index: int) -> None:
    bad = list(signed.signatures)
    bad[index] = bad[index][:-1] + bytes([bad[index][-1] ^ 1])
    with pytest.raises(InvalidSignature) as caught:
        signed.open(signed.results(bad))
    assert caught.value.index == index
    assert caught.value.fault is Fault.SIGNER


def test_a_missing_or_repeated_result_is_refused(signed: Signed) -> None:
    results = signed.results()
    with pytest.raises(VerificationFailed, match="no result"):
        signed.open(results[1:])
    with pytest.raises(VerificationFailed, match="twice"):
        signed.open([*results, results[0]])


def test_a_result_of_the_other_kind_is_refused(signed: Signed) -> None:
    results = signed.results()
    adaptor = signed.plain[0].batch_item_id
    plain = encrypt_field(signed.secret, Context.SIGNATURE, signed.signatures[0][1:])
    for wrong in (EncryptedResult(adaptor, plain, None), EncryptedResult(adaptor, None, None)):
        kept = [result for result in results if result.batch_item_id != adaptor]
        with pytest.raises(VerificationFailed, match="other kind"):
            signed.open([*kept, wrong])


def test_an_unreadable_result_is_the_signers_fault(signed: Signed) -> None:
    item = signed.plain[0].batch_item_id
    kept = [result for result in signed.results() if result.batch_item_id != item]
    for body in (b"{}", b"[]", b"nope", b'{"x":{}}'):
        text = encrypt_field(signed.secret, Context.ADAPTOR_SIGNATURES, body)
        with pytest.raises(VerificationFailed) as caught:
            signed.open([*kept, EncryptedResult(item, None, text)])
        assert caught.value.fault is Fault.SIGNER


def test_other_items_than_the_batchs_are_a_mistake_of_the_caller(signed: Signed) -> None:
    with pytest.raises(InvalidInput, match="items"):
        signed.open(signed.results(), signed.items[1:])
    with pytest.raises(InvalidInput, match=r"items\[0\]"):
        signed.open(signed.results(), signed.items[::-1])


def test_batch_results_are_read_strictly() -> None:
    good = {"batch_item_id": fresh_id(), "signature": "00", "adaptor_signatures": None, "error": None}
    assert EncryptedResult.read_all([good])[0].signature == "00"
    for bad in ({**good, "signature": 1}, {**good, "batch_item_id": "x"}, [], None, {"signature": "00"}):
        with pytest.raises(InvalidInput):
            EncryptedResult.read_all([bad])
