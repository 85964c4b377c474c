"""One item of a signing batch: a message, who signs it, and an adaptor point or none.

Source: keymeld sections 3.6 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.keymeld.canonical import canonical_json, integers
from coordinator_core.keymeld.encrypted_data import Context, decrypt_field, encrypt_field
from coordinator_core.keymeld.members import Members, as_array, as_hex, as_uuid, decode_json, utf8
from coordinator_core.keymeld.tweak import encrypt_no_tweak, require_encrypted_no_tweak
from coordinator_core.secp256k1 import parse_point
from coordinator_core.secret import Secret

_MAX_ADAPTORS: Final = 100

_ITEM = (
    "batch_item_id",
    "encrypted_message",
    "encrypted_adaptor_configs",
    "encrypted_taproot_tweak",
    "subset_id",
)
_WIRE_ITEM = ("batch_item_id", "message_hash", "signing_mode", "encrypted_taproot_tweak", "subset_id")


class Adaptor(Struct, frozen=True):
    """The one adaptor point of an adaptor item, under the id by which its signature is found."""

    adaptor_id: str
    point: bytes


class PlainItem(Struct, frozen=True):
    """One message to sign: by everyone (`subset_id` None) or by a named subset, always untweaked."""

    batch_item_id: str
    message: bytes
    adaptor: Adaptor | None
    subset_id: str | None


class EncryptedItem(Struct, frozen=True):
    """One item as it is sent, signed, approved and read back."""

    batch_item_id: str
    encrypted_message: str
    encrypted_adaptor_configs: str | None
    encrypted_taproot_tweak: str
    subset_id: str | None

    @classmethod
    def encrypt(cls, item: PlainItem, session_secret: Secret) -> EncryptedItem:
        """Encrypt each field of an item once."""
        if len(item.message) != 32:
            raise InvalidInput("item.message", f"has {len(item.message)} bytes", "exactly 32")
        text = item.message.hex().encode()
        return cls(
            batch_item_id=as_uuid(item.batch_item_id, "item.batch_item_id"),
            encrypted_message=encrypt_field(session_secret, Context.SESSION_DATA, text),
            encrypted_adaptor_configs=_encrypt_adaptor(item.adaptor, session_secret),
            encrypted_taproot_tweak=encrypt_no_tweak(session_secret, Context.SESSION_DATA),
            subset_id=None if item.subset_id is None else as_uuid(item.subset_id, "item.subset_id"),
        )

    @classmethod
    def from_value(cls, value: object, field: str) -> EncryptedItem:
        """Read one in its signed form. Raises InvalidInput."""
        members = Members(value, field, _ITEM)
        return cls(
            batch_item_id=members.uuid("batch_item_id"),
            encrypted_message=members.hex_text("encrypted_message"),
            encrypted_adaptor_configs=members.optional_hex_text("encrypted_adaptor_configs"),
            encrypted_taproot_tweak=members.hex_text("encrypted_taproot_tweak"),
            subset_id=members.optional_uuid("subset_id"),
        )

    @classmethod
    def from_wire(cls, value: object, field: str) -> EncryptedItem:
        """Read one in the form of POST /signing and of the signing status.

        The item's message_hash is not signed and is therefore not read. Raises InvalidInput.
        """
        members = Members(value, field, _WIRE_ITEM, only=False)
        mode = Members(members.raw("signing_mode"), f"{field}.signing_mode", ("type",), only=False)
        adaptor = mode.raw("type") == "adaptor"
        if not adaptor and mode.raw("type") != "regular":
            raise InvalidInput(mode.path("type"), "is no signing mode", "regular or adaptor")
        names = ("encrypted_message", "encrypted_adaptor_configs") if adaptor else ("encrypted_message",)
        fields = Members(members.raw("signing_mode"), f"{field}.signing_mode", names, only=False)
        return cls(
            batch_item_id=members.uuid("batch_item_id"),
            encrypted_message=fields.hex_text("encrypted_message"),
            encrypted_adaptor_configs=fields.hex_text("encrypted_adaptor_configs") if adaptor else None,
            encrypted_taproot_tweak=members.hex_text("encrypted_taproot_tweak"),
            subset_id=members.optional_uuid("subset_id"),
        )

    def decrypt(self, session_secret: Secret) -> PlainItem:
        """What would be signed.

        Raises InvalidInput, VerificationFailed; Refused for a tweak or another adaptor kind.
        """
        field = f"item {self.batch_item_id}"
        message = decrypt_field(
            session_secret, Context.SESSION_DATA, self.encrypted_message, f"{field}.encrypted_message"
        )
        require_encrypted_no_tweak(
            session_secret,
            Context.SESSION_DATA,
            self.encrypted_taproot_tweak,
            f"{field}.encrypted_taproot_tweak",
        )
        return PlainItem(
            batch_item_id=self.batch_item_id,
            message=as_hex(utf8(message, f"{field}.message"), f"{field}.message", 32),
            adaptor=self._decrypt_adaptor(session_secret, f"{field}.encrypted_adaptor_configs"),
            subset_id=self.subset_id,
        )

    def payload(self) -> dict[str, object]:
        """JSON-ready members in declared order: the signed form."""
        return {
            "batch_item_id": self.batch_item_id,
            "encrypted_message": self.encrypted_message,
            "encrypted_adaptor_configs": self.encrypted_adaptor_configs,
            "encrypted_taproot_tweak": self.encrypted_taproot_tweak,
            "subset_id": self.subset_id,
        }

    def wire(self, message_hash: bytes) -> dict[str, object]:
        """The form of POST /signing; `message_hash` is the message itself, as the protocol's SDK sends it."""
        mode: dict[str, object] = {"type": "regular", "encrypted_message": self.encrypted_message}
        if self.encrypted_adaptor_configs is not None:
            mode["type"] = "adaptor"
            mode["encrypted_adaptor_configs"] = self.encrypted_adaptor_configs
        return {
            "batch_item_id": self.batch_item_id,
            "message_hash": integers(message_hash),
            "signing_mode": mode,
            "encrypted_taproot_tweak": self.encrypted_taproot_tweak,
            "subset_id": self.subset_id,
        }

    def _decrypt_adaptor(self, session_secret: Secret, field: str) -> Adaptor | None:
        if self.encrypted_adaptor_configs is None:
            return None
        plaintext = decrypt_field(session_secret, Context.ADAPTOR_CONFIGS, self.encrypted_adaptor_configs, field)
        configs = as_array(decode_json(plaintext, field), field, _MAX_ADAPTORS)
        if len(configs) != 1:
            raise Refused(field, f"holds {len(configs)} adaptors", "exactly one")
        members = Members(configs[0], field, ("adaptor_id", "adaptor_type", "adaptor_points", "hints"))
        points = members.array("adaptor_points", _MAX_ADAPTORS)
        if members.raw("adaptor_type") != "Single" or len(points) != 1 or members.raw("hints") is not None:
            raise Refused(field, "is not a single adaptor without hints")
        return Adaptor(members.uuid("adaptor_id"), parse_point(as_hex(points[0], field, 33), field))


def batch_payload(items: Sequence[EncryptedItem]) -> list[object]:
    """The items as every signature over a batch covers them, in request order."""
    return [item.payload() for item in items]


def _encrypt_adaptor(adaptor: Adaptor | None, session_secret: Secret) -> str | None:
    if adaptor is None:
        return None
    config = {
        "adaptor_id": as_uuid(adaptor.adaptor_id, "adaptor_id"),
        "adaptor_type": "Single",
        "adaptor_points": [parse_point(adaptor.point, "adaptor point").hex()],
        "hints": None,
    }
    return encrypt_field(session_secret, Context.ADAPTOR_CONFIGS, canonical_json([config]))
