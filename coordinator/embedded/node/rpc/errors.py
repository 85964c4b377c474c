"""Errors of a call, with the numbers of Core's rpc/protocol.h."""

from __future__ import annotations

from enum import IntEnum


class Code(IntEnum):
    """Error numbers of the protocol and of Core."""

    INVALID_REQUEST = -32600
    METHOD_NOT_FOUND = -32601
    PARSE_ERROR = -32700
    MISC_ERROR = -1
    TYPE_ERROR = -3
    INVALID_ADDRESS_OR_KEY = -5
    INSUFFICIENT_FUNDS = -6
    INVALID_PARAMETER = -8
    WALLET_NOT_FOUND = -18
    DESERIALIZATION_ERROR = -22
    TRANSACTION_ERROR = -25
    TRANSACTION_REJECTED = -26
    ALREADY_IN_UTXO_SET = -27


class RpcError(Exception):
    """What a method answers instead of a result."""

    def __init__(self, code: Code, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
