"""Methods about blocks, the chain and its unspent outputs."""

from __future__ import annotations

from typing import Any

from coordinator.embedded.node.chain import BlockNode
from coordinator.embedded.node.codec import OutPoint, TxOutput, display_hex
from coordinator.embedded.node.descriptor import descriptor_of, descriptor_to_script
from coordinator.embedded.node.index import Coin, script_hash
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator.embedded.node.rpc.method import Context, MethodTable, anything, array, flag, number, text
from coordinator.embedded.node.rpc.render import (
    BITS_HEX,
    DIFFICULTY,
    TARGET_HEX,
    block_view,
    btc,
    header_view,
    script_view,
)
from coordinator.embedded.node.rpc.values import hash_value, integer, known_block
from coordinator_core.errors import InvalidInput

TABLE = MethodTable()


@TABLE.method()
def getblockchaininfo(context: Context) -> dict[str, Any]:
    """Returns facts about the chain."""
    node = context.node
    tip = node.tip
    return {
        "chain": "regtest",
        "blocks": tip.height,
        "headers": tip.height,
        "bestblockhash": display_hex(tip.hash),
        "bits": BITS_HEX,
        "target": TARGET_HEX,
        "difficulty": DIFFICULTY,
        "time": tip.time,
        "mediantime": tip.median_time_past,
        "verificationprogress": 1,
        "initialblockdownload": False,
        "chainwork": f"{tip.chain_work:064x}",
        "size_on_disk": sum(len(n.block.raw) + 8 for n in node.chain.nodes.values()),
        "pruned": False,
        "warnings": [],
    }


@TABLE.method()
def getblockcount(context: Context) -> int:
    """Returns the height of the most-work fully-validated chain. The genesis block has height 0."""
    return context.node.height


@TABLE.method()
def getbestblockhash(context: Context) -> str:
    """Returns the hash of the tip of the most-work fully-validated chain."""
    return display_hex(context.node.tip.hash)


@TABLE.method(number("height"))
def getblockhash(context: Context, height: Any) -> str:
    """Returns hash of block in best-block-chain at height provided."""
    at = integer(height)
    if not 0 <= at <= context.node.height:
        raise RpcError(Code.INVALID_PARAMETER, "Block height out of range")
    return display_hex(context.node.chain.active[at].hash)


@TABLE.method(text("blockhash"), flag("verbose", True))
def getblockheader(context: Context, blockhash: str, verbose: bool) -> Any:
    """Returns a block header, decoded or as hex."""
    value = hash_value(blockhash, "hash")
    block = context.node.chain.nodes.get(value)
    if block is None:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, "Block not found")
    return header_view(context.node, block) if verbose else block.block.raw[:80].hex()


@TABLE.method(text("blockhash"), anything("verbosity", 1))
def getblock(context: Context, blockhash: str, verbosity: Any) -> Any:
    """Returns a block: hex, or decoded with 1, 2 or 3."""
    block = known_block(context.node, blockhash)
    level = int(verbosity) if isinstance(verbosity, bool) else integer(verbosity)
    return block.block.raw.hex() if level <= 0 else block_view(context.node, block, level)


@TABLE.method()
def getchaintips(context: Context) -> list[dict[str, Any]]:
    """Returns the ends of all known branches."""
    chain = context.node.chain
    return [
        {
            "height": leaf.height,
            "hash": display_hex(leaf.hash),
            "branchlen": _branch_length(context, leaf),
            "status": _status(context, leaf),
        }
        for leaf in chain.leaves()
    ]


def _branch_length(context: Context, leaf: BlockNode) -> int:
    fork = next(n for n in leaf.ancestors() if context.node.chain.is_active(n))
    return leaf.height - fork.height


def _status(context: Context, leaf: BlockNode) -> str:
    chain = context.node.chain
    if chain.is_active(leaf):
        return "active"
    if chain.is_invalid(leaf):
        return "invalid"
    return "valid-fork" if leaf.hash in chain.once_active else "valid-headers"


@TABLE.method(text("txid"), number("n"), flag("include_mempool", True))
def gettxout(context: Context, txid: str, n: Any, include_mempool: bool) -> dict[str, Any] | None:
    """Returns an unspent output, null when there is none."""
    node = context.node
    outpoint = OutPoint(hash_value(txid, "txid"), integer(n, 0, 0xFFFFFFFF))
    if include_mempool and outpoint in node.mempool.spenders:
        return None
    unconfirmed = node.mempool.output(outpoint) if include_mempool else None
    if unconfirmed is not None:
        return _output_view(context, unconfirmed, 0, coinbase=False)
    coin = node.chain.coin(outpoint)
    if coin is None:
        return None
    return _output_view(context, coin.output, node.height - coin.height + 1, coinbase=coin.coinbase)


def _output_view(context: Context, output: TxOutput, confirmations: int, *, coinbase: bool) -> dict[str, Any]:
    return {
        "bestblock": display_hex(context.node.tip.hash),
        "confirmations": confirmations,
        "value": btc(output.value),
        "scriptPubKey": script_view(output.script),
        "coinbase": coinbase,
    }


@TABLE.method(text("action"), array("scanobjects", None))
def scantxoutset(context: Context, action: str, scanobjects: list[Any] | None) -> Any:
    """Looks for unspent outputs by addr(), raw() or rawtr() descriptors."""
    if action == "status":
        return None
    if action == "abort":
        return False
    if action != "start":
        raise RpcError(Code.INVALID_PARAMETER, f"Invalid action '{action}'")
    if scanobjects is None:
        raise RpcError(Code.MISC_ERROR, "scanobjects argument is required for the start action")
    node = context.node
    scripts = dict.fromkeys(_scanned_script(scanned) for scanned in scanobjects)
    found = [pair for script in scripts for pair in node.chain.index.unspent(script_hash(script))]
    return {
        "success": True,
        "txouts": len(node.chain.index.coins),
        "height": node.height,
        "bestblock": display_hex(node.tip.hash),
        "unspents": [_unspent_view(context, outpoint, coin) for outpoint, coin in found],
        "total_amount": btc(sum(coin.output.value for _, coin in found)),
    }


def _scanned_script(scanned: Any) -> bytes:
    descriptor = scanned.get("desc") if isinstance(scanned, dict) else scanned
    try:
        return descriptor_to_script(descriptor)
    except InvalidInput as wrong:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, wrong.reason) from None


def _unspent_view(context: Context, outpoint: OutPoint, coin: Coin) -> dict[str, Any]:
    return {
        "txid": display_hex(outpoint.txid),
        "vout": outpoint.vout,
        "scriptPubKey": coin.output.script.hex(),
        "desc": descriptor_of(coin.output.script),
        "amount": btc(coin.output.value),
        "coinbase": coin.coinbase,
        "height": coin.height,
        "blockhash": display_hex(context.node.chain.active[coin.height].hash),
        "confirmations": context.node.height - coin.height + 1,
    }


@TABLE.method(text("action"), array("scanobjects", None))
def scanblocks(context: Context, action: str, scanobjects: list[Any] | None) -> Any:
    """Block filters are not kept."""
    raise RpcError(Code.MISC_ERROR, "Index is not enabled for filtertype basic")


@TABLE.method(text("index_name", None))
def getindexinfo(context: Context, index_name: str | None) -> dict[str, Any]:
    """Returns the state of the transaction index, which is never behind here."""
    known = {"txindex": {"synced": True, "best_block_height": context.node.height}}
    return known if index_name in (None, "txindex") else {}


@TABLE.method(text("blockhash"))
def invalidateblock(context: Context, blockhash: str) -> None:
    """Takes a block and what stands on it off the chain."""
    try:
        context.node.invalidate(known_block(context.node, blockhash))
    except InvalidInput as wrong:
        raise RpcError(Code.INVALID_PARAMETER, str(wrong)) from None


@TABLE.method(text("blockhash"))
def reconsiderblock(context: Context, blockhash: str) -> None:
    """Undoes invalidateblock."""
    context.node.reconsider(known_block(context.node, blockhash))
