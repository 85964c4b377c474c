"""From the encrypted batch to what is signed. Every item is checked before the first nonce is made.

Rules of keymeld sections 4.8 and 5: messages are 32 bytes as hex, tweaks must decrypt, adaptors are Single with one
point and their own id, subsets are the manifest's and contain the coordinator.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from coordinator.embedded.keymeld.authorization.batch import AuthorizedItem
from coordinator.embedded.keymeld.authorization.canonical import Uuid
from coordinator.embedded.keymeld.authorization.tweak import decode_tweak
from coordinator.embedded.keymeld.crypto.encrypted_data import ADAPTOR_CONFIGS, SESSION_DATA
from coordinator.embedded.keymeld.enclave.opening import decode_hex
from coordinator.embedded.keymeld.enclave.session import KeygenSession
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.musig2 import SigningItem
from coordinator_core.secp256k1 import parse_point


class AdaptorConfig(msgspec.Struct, frozen=True):
    """One adaptor of an item, as clients encrypt it."""

    adaptor_id: Uuid
    adaptor_type: str
    adaptor_points: list[str]
    hints: list[msgspec.Raw] | None = None


class PlannedSignature(NamedTuple):
    """One signature to make: a plain one, or one for each adaptor of an item."""

    batch_item_id: str
    adaptor_id: str | None
    item: SigningItem
    holders: frozenset[int]
    """Enclaves that hold keys of the item's key set."""


def plan_batch(session: KeygenSession, batch: Sequence[AuthorizedItem]) -> list[PlannedSignature]:
    """All signatures of a batch, in its order. Raises InvalidInput or Refused naming the item."""
    ids = [item.batch_item_id for item in batch]
    if len(set(ids)) != len(ids):
        raise InvalidInput("batch_items", "an item id occurs twice", "give each item its own id")
    planned: list[PlannedSignature] = []
    for index, item in enumerate(batch):
        planned.extend(_plan_item(session, item, f"batch_items[{index}]"))
    adaptor_ids = [p.adaptor_id for p in planned if p.adaptor_id is not None]
    if len(set(adaptor_ids)) != len(adaptor_ids):
        raise InvalidInput("batch_items", "an adaptor id occurs twice", "give each adaptor its own id")
    return planned


def _plan_item(session: KeygenSession, item: AuthorizedItem, field: str) -> list[PlannedSignature]:
    message = _message(session, item.encrypted_message, f"{field}.encrypted_message")
    tweak_field = f"{field}.encrypted_taproot_tweak"
    tweak = decode_tweak(session.cipher.decrypt(item.encrypted_taproot_tweak, SESSION_DATA, tweak_field), tweak_field)
    key_set = session.signing_key_set(item.subset_id, tweak)
    holders = session.holders(item.subset_id)
    if item.encrypted_adaptor_configs is None:
        return [PlannedSignature(item.batch_item_id, None, SigningItem(key_set, message), holders)]
    adaptors = _adaptors(session, item.encrypted_adaptor_configs, f"{field}.encrypted_adaptor_configs")
    return [
        PlannedSignature(item.batch_item_id, adaptor_id, SigningItem(key_set, message, point), holders)
        for adaptor_id, point in adaptors
    ]


def _message(session: KeygenSession, encrypted: str, field: str) -> bytes:
    text = session.cipher.decrypt(encrypted, SESSION_DATA, field)
    message = decode_hex(text.decode("latin-1"), field)
    if len(message) != 32:
        raise InvalidInput(field, "is not 32 bytes", "encrypt the hex of a 32-byte message")
    return message


def _adaptors(session: KeygenSession, encrypted: str, field: str) -> list[tuple[str, bytes]]:
    json = session.cipher.decrypt(encrypted, ADAPTOR_CONFIGS, field)
    try:
        configs = msgspec.json.decode(json, type=list[AdaptorConfig])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise InvalidInput(field, f"does not decode: {error}", "a list of adaptor configurations") from None
    if not configs:
        raise InvalidInput(field, "is empty", "give an adaptor, or ask for a regular signature")
    return [(config.adaptor_id, _point(config, field)) for config in configs]


def _point(config: AdaptorConfig, field: str) -> bytes:
    if config.adaptor_type != "Single":
        raise Refused(field, f"adaptor type {config.adaptor_type!r} is not served", "use Single")
    if len(config.adaptor_points) != 1:
        raise InvalidInput(field, "a Single adaptor has exactly one point", "give one point")
    return parse_point(decode_hex(config.adaptor_points[0], field), field)
