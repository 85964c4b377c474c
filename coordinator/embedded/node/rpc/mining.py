"""Methods that make blocks or estimate fees."""

from __future__ import annotations

from typing import Any

from coordinator.embedded.node.codec import Transaction, display_hex
from coordinator.embedded.node.descriptor import descriptor_to_script
from coordinator.embedded.node.errors import BlockRejected
from coordinator.embedded.node.node import MAX_BLOCKS_A_CALL
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator.embedded.node.rpc.method import Context, MethodTable, anything, array, flag, number, text
from coordinator.embedded.node.rpc.render import btc
from coordinator.embedded.node.rpc.values import HASH_LENGTH, hash_value, integer, raw_transaction, script_of_address
from coordinator_core.errors import InvalidInput

TABLE = MethodTable()
MAX_TARGET_BLOCKS = 1008


@TABLE.method(number("nblocks"), text("address"), number("maxtries", 1_000_000))
def generatetoaddress(context: Context, nblocks: Any, address: str, maxtries: Any) -> list[str]:
    """Mines blocks to an address and returns their hashes."""
    count = integer(nblocks, 0, MAX_BLOCKS_A_CALL)
    mined = context.node.mine(count, script_of_address(address))
    return [display_hex(block.hash) for block in mined]


@TABLE.method(text("output"), array("transactions"), flag("submit", True))
def generateblock(context: Context, output: str, transactions: list[Any], submit: bool) -> dict[str, Any]:
    """Mines one block of the given transactions (ids in the mempool, or hex)."""
    if not submit:
        raise RpcError(Code.INVALID_PARAMETER, "Only submitted blocks are made here")
    script = _output_script(output)
    chosen = [_named_transaction(context, given) for given in transactions]
    try:
        block = context.node.mine_exactly(chosen, script)
    except BlockRejected as refusal:
        raise RpcError(Code.TRANSACTION_ERROR, f"TestBlockValidity failed: {refusal.reason}") from None
    return {"hash": display_hex(block.hash)}


def _output_script(output: str) -> bytes:
    if "(" not in output:
        return script_of_address(output)
    try:
        return descriptor_to_script(output)
    except InvalidInput as wrong:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, wrong.reason) from None


def _named_transaction(context: Context, given: Any) -> Transaction:
    if not isinstance(given, str) or len(given) != HASH_LENGTH:
        message = f"Transaction decode failed for {given}. Make sure the tx has at least one input."
        return raw_transaction(given, message)
    entry = context.node.mempool.get(hash_value(given, "txid"))
    if entry is None:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, f"Transaction {given} not in mempool.")
    return entry.transaction


@TABLE.method(text("hexdata"), anything("dummy", None))
def submitblock(context: Context, hexdata: str, dummy: Any) -> str | None:
    """Takes in a block; null when it was accepted, else the reason."""
    try:
        context.node.submit_block(bytes.fromhex(hexdata))
    except BlockRejected as refusal:
        return refusal.reason
    except (ValueError, InvalidInput):
        raise RpcError(Code.DESERIALIZATION_ERROR, "Block decode failed") from None
    return None


@TABLE.method(number("conf_target"), text("estimate_mode", "economical"))
def estimatesmartfee(context: Context, conf_target: Any, estimate_mode: str) -> dict[str, Any]:
    """Estimates the fee rate for a confirmation target."""
    target = integer(conf_target)
    if not 1 <= target <= MAX_TARGET_BLOCKS:
        message = f"Invalid conf_target, must be between 1 and {MAX_TARGET_BLOCKS}"
        raise RpcError(Code.INVALID_PARAMETER, message)
    if estimate_mode.lower() not in ("unset", "economical", "conservative"):
        raise RpcError(Code.INVALID_PARAMETER, 'Invalid estimate_mode parameter, must be one of: "unset", '
                       '"economical", "conservative"')  # fmt: skip
    found = context.node.settings.estimate(target)
    if found is None:
        return {"errors": ["Insufficient data or no feerate found"], "blocks": 0}
    rate, answered = found
    return {"feerate": btc(rate), "blocks": answered}
