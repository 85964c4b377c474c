"""Results as clients decrypt them (keymeld section 5): all regular items by id, then all adaptor items by id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from coordinator.embedded.keymeld.crypto.encrypted_data import ADAPTOR_SIGNATURES, SIGNATURE, SessionCipher
from coordinator.embedded.keymeld.enclave.commands import ItemResult
from coordinator.embedded.keymeld.enclave.items import PlannedSignature


def encode_results(
    planned: Sequence[PlannedSignature], signatures: Sequence[tuple[bytes, bytes]], cipher: SessionCipher
) -> list[ItemResult]:
    """One result an item, from (signature, public nonce) of every planned signature."""
    regular: list[ItemResult] = []
    adaptors: dict[str, dict[str, Any]] = {}
    for plan, (signature, nonce_point) in zip(planned, signatures, strict=True):
        if plan.adaptor_id is None:
            regular.append(ItemResult(plan.batch_item_id, signature=cipher.encrypt(signature, SIGNATURE)))
        else:
            item = adaptors.setdefault(plan.batch_item_id, {})
            item[plan.adaptor_id] = _adaptor_signature(plan, signature, nonce_point)
    encrypted = [
        ItemResult(item_id, adaptor_signatures=cipher.encrypt(msgspec.json.encode(by_id), ADAPTOR_SIGNATURES))
        for item_id, by_id in adaptors.items()
    ]
    return [*sorted(regular, key=_item_id), *sorted(encrypted, key=_item_id)]


def _item_id(result: ItemResult) -> str:
    return result.batch_item_id


def _adaptor_signature(plan: PlannedSignature, signature: bytes, nonce_point: bytes) -> dict[str, Any]:
    point = list(plan.item.adaptor_point or b"")
    return {
        "adaptor_id": plan.adaptor_id,
        "adaptor_type": "Single",
        "signature_scalar": list(signature),
        "nonce_point": list(nonce_point),
        "adaptor_points": [point],
        "hints": None,
        "aggregate_adaptor_point": point,
    }
