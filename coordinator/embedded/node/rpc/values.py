"""Reading arguments: hashes, whole numbers, amounts and raw transactions, refused in Core's words."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from coordinator.embedded.node.address import address_to_script
from coordinator.embedded.node.chain import BlockNode
from coordinator.embedded.node.codec import Transaction
from coordinator.embedded.node.fees import COIN, MAX_MONEY_SAT
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator_core.errors import InvalidInput

_HEX: Final = re.compile(r"[0-9a-fA-F]*")
HASH_LENGTH: Final = 64


def hash_value(value: Any, name: str) -> bytes:
    """A 32-byte hash, internal order, from its reversed hex."""
    if not isinstance(value, str):
        raise RpcError(Code.TYPE_ERROR, "JSON value is not a string as expected")
    if len(value) != HASH_LENGTH:
        message = f"{name} must be of length {HASH_LENGTH} (not {len(value)}, for '{value}')"
        raise RpcError(Code.INVALID_PARAMETER, message)
    if not _HEX.fullmatch(value):
        raise RpcError(Code.INVALID_PARAMETER, f"{name} must be hexadecimal string (not '{value}')")
    return bytes.fromhex(value)[::-1]


def integer(value: Any, least: int = -(1 << 31), most: int = (1 << 63) - 1) -> int:
    """A whole number in a range."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise RpcError(Code.TYPE_ERROR, "JSON value is not an integer as expected")
    if not least <= value <= most:
        raise RpcError(Code.INVALID_PARAMETER, f"{value} is out of range {least} to {most}")
    return value


def amount(value: Any) -> int:
    """Satoshi from bitcoin given as number or string with at most eight decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RpcError(Code.TYPE_ERROR, "Amount is not a number or string")
    try:
        sat = Decimal(str(value)) * COIN
        exact = sat == sat.to_integral_value()
    except InvalidOperation:
        raise RpcError(Code.TYPE_ERROR, "Invalid amount") from None
    if not exact:
        raise RpcError(Code.TYPE_ERROR, "Invalid amount")
    if not 0 <= sat <= MAX_MONEY_SAT:
        raise RpcError(Code.TYPE_ERROR, "Amount out of range")
    return int(sat)


def script_of_address(value: Any) -> bytes:
    """The locking script of a regtest address."""
    try:
        return address_to_script(value)
    except InvalidInput:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, "Error: Invalid address") from None


def raw_transaction(value: Any, message: str) -> Transaction:
    """A transaction from its hex; refused with `message`."""
    if not isinstance(value, str):
        raise RpcError(Code.TYPE_ERROR, "JSON value is not a string as expected")
    try:
        return Transaction.parse(bytes.fromhex(value))
    except ValueError:
        raise RpcError(Code.DESERIALIZATION_ERROR, message) from None
    except InvalidInput:
        raise RpcError(Code.DESERIALIZATION_ERROR, message) from None


def raw_transactions(values: list[Any]) -> list[Transaction]:
    """The transactions of a package or of a test."""
    hint = "Make sure the tx has at least one input."
    return [raw_transaction(value, f"TX decode failed: {value} {hint}") for value in values]


def known_block(node: EmbeddedNode, value: Any) -> BlockNode:
    """A block of the tree by its hash."""
    found = node.chain.nodes.get(hash_value(value, "blockhash"))
    if found is None:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, "Block not found")
    return found
