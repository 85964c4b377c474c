"""Results of a signing session: encrypted signatures, matched by item id, opened and verified.

Source: keymeld section 5 and the result formats of the 0.3 protocol (sections 1.5 and 3.4), which still hold.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.keymeld.batch import MAX_BATCH_ITEMS, SignedBatch
from coordinator_core.keymeld.batch_item import Adaptor, PlainItem
from coordinator_core.keymeld.encrypted_data import Context, decrypt_field
from coordinator_core.keymeld.members import Members, as_array, as_object, decode_json
from coordinator_core.musig2 import SigningItem, verify_batch
from coordinator_core.secret import Secret


class EncryptedResult(Struct, frozen=True):
    """One entry of batch_results, as read."""

    batch_item_id: str
    signature: str | None
    adaptor_signatures: str | None

    @classmethod
    def read_all(cls, value: object) -> tuple[EncryptedResult, ...]:
        """Read batch_results, in the order received. Raises InvalidInput."""
        entries = as_array(value, "batch_results", MAX_BATCH_ITEMS)
        return tuple(cls._read(entry, f"batch_results[{index}]") for index, entry in enumerate(entries))

    @classmethod
    def _read(cls, value: object, field: str) -> EncryptedResult:
        members = Members(value, field, ("batch_item_id", "signature", "adaptor_signatures"), only=False)
        return cls(
            members.uuid("batch_item_id"),
            members.optional_hex_text("signature"),
            members.optional_hex_text("adaptor_signatures"),
        )


def open_signatures(
    session_secret: Secret,
    batch: SignedBatch,
    results: Sequence[EncryptedResult],
    items: Sequence[SigningItem],
) -> tuple[bytes, ...]:
    """The signatures of a batch, in the order of its items, each verified.

    `items` are the batch's items with their key sets. 64 bytes for a regular item, 65 for an adaptor item.
    Raises InvalidInput when `items` are not the batch's; with fault SIGNER VerificationFailed for a missing,
    repeated or unreadable result and InvalidSignature, with its index, for the first signature that is wrong.
    """
    plain = [item.decrypt(session_secret) for item in batch.items]
    _require_same(plain, items)
    by_id = {result.batch_item_id: result for result in results}
    if len(by_id) != len(results):
        raise VerificationFailed("batch_results", "hold an item twice", fault=Fault.SIGNER)
    signatures: list[bytes] = []
    for item in plain:
        if item.batch_item_id not in by_id:
            raise VerificationFailed(f"item {item.batch_item_id}", "has no result", fault=Fault.SIGNER)
        try:
            signatures.append(_open(session_secret, item, by_id[item.batch_item_id]))
        except InvalidInput as error:
            raise VerificationFailed(error.field, error.reason, fault=Fault.SIGNER) from error
    try:
        verify_batch(items, signatures)
    except InvalidSignature as error:
        raise InvalidSignature(error.what, error.reason, index=error.index, fault=Fault.SIGNER) from error
    return tuple(signatures)


def _require_same(plain: Sequence[PlainItem], items: Sequence[SigningItem]) -> None:
    if len(plain) != len(items):
        raise InvalidInput("items", f"are {len(items)}, the batch has {len(plain)}")
    for index, (ours, item) in enumerate(zip(plain, items, strict=True)):
        point = None if ours.adaptor is None else ours.adaptor.point
        if ours.message != item.message or point != item.adaptor_point:
            raise InvalidInput(f"items[{index}]", "is not the batch's item")


def _open(session_secret: Secret, item: PlainItem, result: EncryptedResult) -> bytes:
    field = f"item {item.batch_item_id}"
    regular = item.adaptor is None
    if (result.signature is None) == regular or (result.adaptor_signatures is None) != regular:
        raise VerificationFailed(field, "has the result of the other kind, or none", fault=Fault.SIGNER)
    if item.adaptor is None:
        signature = decrypt_field(session_secret, Context.SIGNATURE, result.signature, field)
        if len(signature) != 64:
            raise VerificationFailed(field, f"has {len(signature)} bytes, not 64", fault=Fault.SIGNER)
        return signature
    plaintext = decrypt_field(session_secret, Context.ADAPTOR_SIGNATURES, result.adaptor_signatures, field)
    return _read_adaptor_signature(plaintext, item.adaptor, field)


def _read_adaptor_signature(plaintext: bytes, adaptor: Adaptor, field: str) -> bytes:
    entries = as_object(decode_json(plaintext, field), field)
    # The protocol's name is misleading: signature_scalar holds R (33 bytes) and s (32 bytes).
    members = Members(entries.get(adaptor.adaptor_id), field, ("signature_scalar",), only=False)
    return members.octets("signature_scalar", 65)
