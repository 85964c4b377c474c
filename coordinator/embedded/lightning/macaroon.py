"""Macaroons in the binary format 2 with LND's identifier: who holds one may do what it names, nothing else.

The identifier is one version byte and a protobuf message of nonce, root key id and operations (entity, actions).
Caveats are not made here and a macaroon that holds any is refused.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Iterator
from typing import Final

from coordinator.embedded.lightning.errors import LndError

Permission = tuple[str, str]
"""Entity and action, as in ("invoices", "write")."""

ENTITIES: Final = (
    "onchain",
    "offchain",
    "address",
    "message",
    "peers",
    "info",
    "invoices",
    "signer",
    "macaroon",
)
ALL_PERMISSIONS: Final[frozenset[Permission]] = frozenset(
    {(entity, action) for entity in ENTITIES for action in ("read", "write")}
    | {("macaroon", "generate"), ("signer", "generate")}
)
CALL: Final = "uri"
"""The entity of a permission for one call, whose action is the full name of the method."""
COORDINATOR_PERMISSIONS: Final[frozenset[Permission]] = frozenset(
    (CALL, method)
    for method in (
        "/lnrpc.Lightning/GetInfo",
        "/lnrpc.Lightning/ListChannels",
        "/lnrpc.Lightning/ListPayments",
        "/lnrpc.Lightning/ListInvoices",
        "/lnrpc.Lightning/CheckMacaroonPermissions",
        "/invoicesrpc.Invoices/AddHoldInvoice",
        "/invoicesrpc.Invoices/LookupInvoiceV2",
        "/invoicesrpc.Invoices/SubscribeSingleInvoice",
        "/invoicesrpc.Invoices/SettleInvoice",
        "/invoicesrpc.Invoices/CancelInvoice",
        "/routerrpc.Router/SendPaymentV2",
        "/routerrpc.Router/TrackPaymentV2",
    )
)
"""The calls that the coordinator makes, and no others."""

_FORMAT: Final = 2
_IDENTIFIER_VERSION: Final = 3
_END, _LOCATION, _IDENTIFIER, _SIGNATURE = 0, 1, 2, 6
_ROOT_KEY_ID, _OPERATION = 2, 3
DEFAULT_ROOT_KEY: Final = 0


class MacaroonBakery:
    """Makes and checks the macaroons of one node from its root key of 32 bytes."""

    def __init__(self, root_key: bytes) -> None:
        self._root_key = root_key

    def _key(self, root_key_id: bytes) -> bytes:
        default = str(DEFAULT_ROOT_KEY).encode()
        root = self._root_key if root_key_id == default else hmac.digest(self._root_key, root_key_id, hashlib.sha256)
        return hmac.digest(b"macaroons-key-generator".ljust(32, b"\0"), root, hashlib.sha256)

    def bake(self, permissions: Iterable[Permission], root_key_id: int = DEFAULT_ROOT_KEY) -> bytes:
        """A serialized macaroon for these operations, signed with the key of this number."""
        number = str(root_key_id).encode()
        identifier = _encode_identifier(secrets.token_bytes(16), number, permissions)
        signature = hmac.digest(self._key(number), identifier, hashlib.sha256)
        return (
            bytes([_FORMAT])
            + _packet(_LOCATION, b"lnd")
            + _packet(_IDENTIFIER, identifier)
            + bytes([_END, _END])
            + _packet(_SIGNATURE, signature)
        )

    def check(self, headers: list[str], permission: Permission, method: str = "") -> None:
        """Refuse a call whose macaroon headers (hex) grant neither the permission nor the method. Raises LndError."""
        if len(headers) != 1:
            raise LndError(f"expected 1 macaroon, got {len(headers)}")
        if not self.grants(_from_hex(headers[0]), [permission], method):
            raise LndError("permission denied")

    def grants(self, macaroon: bytes, permissions: Iterable[Permission], method: str) -> bool:
        """Whether a macaroon grants all the permissions, or the method. Raises LndError for one that is not ours."""
        identifier, signature = _parse(macaroon)
        try:
            number, operations = _decode_identifier(identifier)
        except (IndexError, ValueError) as error:
            raise LndError("cannot read the macaroon's identifier") from error
        if not hmac.compare_digest(signature, hmac.digest(self._key(number), identifier, hashlib.sha256)):
            raise LndError("verification failed: signature mismatch after caveat verification")
        return operations.issuperset(permissions) or (CALL, method) in operations


def _from_hex(text: str) -> bytes:
    stranger = next((letter for letter in text if letter not in "0123456789abcdefABCDEF"), None)
    if stranger is not None:
        raise LndError(f"encoding/hex: invalid byte: U+{ord(stranger):04X} '{stranger}'")
    if len(text) % 2:
        raise LndError("encoding/hex: odd length hex string")
    return bytes.fromhex(text)


def _parse(data: bytes) -> tuple[bytes, bytes]:
    if not data or data[0] != _FORMAT:
        raise LndError("cannot determine data format of binary-encoded macaroon")
    try:
        fields = list(_read_packets(data[1:]))
    except (IndexError, ValueError) as error:
        raise LndError("cannot parse macaroon") from error
    kinds = [kind for kind, _ in fields]
    if kinds not in ([_LOCATION, _IDENTIFIER, _END, _END, _SIGNATURE], [_IDENTIFIER, _END, _END, _SIGNATURE]):
        raise LndError("macaroon has caveats or an unknown layout")
    return fields[-4][1], fields[-1][1]


def _read_packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        kind = data[position]
        position += 1
        if kind == _END:
            yield kind, b""
            continue
        length, position = _read_varint(data, position)
        value = data[position : position + length]
        if len(value) != length:
            raise ValueError("packet cut off")
        yield kind, value
        position += length


def _packet(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    output = bytearray()
    while number >= 0x80:
        output.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*output, number])


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    number = shift = 0
    while data[position] & 0x80:
        number |= (data[position] & 0x7F) << shift
        shift += 7
        position += 1
    return number | data[position] << shift, position + 1


def _protobuf(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _encode_identifier(nonce: bytes, root_key_id: bytes, permissions: Iterable[Permission]) -> bytes:
    actions: dict[str, list[str]] = {}
    for entity, action in sorted(permissions):
        actions.setdefault(entity, []).append(action)
    operations = b"".join(
        _protobuf(_OPERATION, _protobuf(1, entity.encode()) + b"".join(_protobuf(2, name.encode()) for name in names))
        for entity, names in actions.items()
    )
    return bytes([_IDENTIFIER_VERSION]) + _protobuf(1, nonce) + _protobuf(_ROOT_KEY_ID, root_key_id) + operations


def _decode_identifier(identifier: bytes) -> tuple[bytes, set[Permission]]:
    """Number of the root key, and operations. Raises IndexError or ValueError for bytes that are not ours."""
    root_key_id = str(DEFAULT_ROOT_KEY).encode()
    permissions: set[Permission] = set()
    for number, value in _read_protobuf(identifier[1:]):
        if number == _ROOT_KEY_ID:
            root_key_id = value
        elif number == _OPERATION:
            fields = list(_read_protobuf(value))
            entity = b"".join(text for key, text in fields if key == 1)
            permissions |= {(entity.decode(), text.decode()) for key, text in fields if key == 2}
    return root_key_id, permissions


def _read_protobuf(data: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        length, position = _read_varint(data, position)
        yield tag >> 3, data[position : position + length]
        position += length
