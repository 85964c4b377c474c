"""Drawing blocks, transactions, outputs and statistics as Esplora does. Amounts are satoshi."""

from __future__ import annotations

from typing import Any, Final

from coordinator.embedded.node.address import script_to_address
from coordinator.embedded.node.block import merkle_path
from coordinator.embedded.node.chain import BlockNode
from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput, display_hex
from coordinator.embedded.node.index import script_hash
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.script import ScriptType, esplora_asm, operations, script_type

TYPE_NAMES: Final = {
    ScriptType.PUBKEY: "p2pk",
    ScriptType.PUBKEYHASH: "p2pkh",
    ScriptType.SCRIPTHASH: "p2sh",
    ScriptType.MULTISIG: "multisig",
    ScriptType.NULLDATA: "op_return",
    ScriptType.ANCHOR: "anchor",
    ScriptType.WITNESS_V0_KEYHASH: "v0_p2wpkh",
    ScriptType.WITNESS_V0_SCRIPTHASH: "v0_p2wsh",
    ScriptType.WITNESS_V1_TAPROOT: "v1_p2tr",
}
DIFFICULTY: Final = 4.656542373906925e-10


def status_view(node: EmbeddedNode, txid: bytes) -> dict[str, Any]:
    """Whether and where a transaction is confirmed."""
    located = node.chain.index.transactions.get(txid)
    if located is None:
        return {"confirmed": False}
    return {
        "confirmed": True,
        "block_height": located.height,
        "block_hash": display_hex(located.block_hash),
        "block_time": node.chain.active[located.height].time,
    }


def find_transaction(node: EmbeddedNode, txid: bytes) -> Transaction | None:
    """A transaction of chain or mempool."""
    located = node.chain.index.transactions.get(txid)
    if located is not None:
        return located.transaction
    entry = node.mempool.get(txid)
    return entry.transaction if entry else None


def output_view(output: TxOutput) -> dict[str, Any]:
    """One output."""
    view: dict[str, Any] = {
        "scriptpubkey": output.script.hex(),
        "scriptpubkey_asm": esplora_asm(output.script),
        "scriptpubkey_type": TYPE_NAMES.get(script_type(output.script), "unknown"),
    }
    address = script_to_address(output.script)
    if address is not None:
        view["scriptpubkey_address"] = address
    view["value"] = output.value
    return view


def transaction_view(node: EmbeddedNode, transaction: Transaction) -> dict[str, Any]:
    """A transaction with the outputs it spends, its fee and its status."""
    coinbase = transaction.is_coinbase
    spent = [] if coinbase else [_spent(node, i) for i in transaction.inputs]
    fee = sum(o.value for o in spent if o) - transaction.value_out if not coinbase else 0
    prevouts = [None] if coinbase else [output_view(o) if o else None for o in spent]
    return {
        "txid": transaction.id,
        "version": transaction.version,
        "locktime": transaction.lock_time,
        "vin": [_input_view(i, p, coinbase) for i, p in zip(transaction.inputs, prevouts, strict=True)],
        "vout": [output_view(o) for o in transaction.outputs],
        "size": len(transaction.raw),
        "weight": transaction.weight,
        "fee": fee,
        "status": status_view(node, transaction.txid),
    }


def _spent(node: EmbeddedNode, spend: TxInput) -> TxOutput | None:
    return node.chain.index.output(spend.previous) or node.mempool.output(spend.previous)


def _input_view(spend: TxInput, prevout: dict[str, Any] | None, coinbase: bool) -> dict[str, Any]:
    view: dict[str, Any] = {
        "txid": display_hex(spend.previous.txid),
        "vout": spend.previous.vout,
        "prevout": prevout,
        "scriptsig": spend.script_sig.hex(),
        "scriptsig_asm": esplora_asm(spend.script_sig),
    }
    if spend.witness:
        view["witness"] = [item.hex() for item in spend.witness]
    view["is_coinbase"] = coinbase
    view["sequence"] = spend.sequence
    if prevout is not None and prevout["scriptpubkey_type"] == "v0_p2wsh" and spend.witness:
        view["inner_witnessscript_asm"] = esplora_asm(spend.witness[-1])
    if prevout is not None and prevout["scriptpubkey_type"] == "p2sh" and spend.script_sig:
        view["inner_redeemscript_asm"] = esplora_asm(list(operations(spend.script_sig))[-1].data or b"")
    return view


def outspend_view(node: EmbeddedNode, outpoint: OutPoint) -> dict[str, Any]:
    """Who spends an output, in the chain or in the mempool."""
    confirmed = node.chain.index.spends.get(outpoint)
    if confirmed is not None:
        status = status_view(node, confirmed.txid)
        return {"spent": True, "txid": display_hex(confirmed.txid), "vin": confirmed.vin, "status": status}
    entry = node.mempool.get(node.mempool.spenders.get(outpoint, b""))
    if entry is None:
        return {"spent": False}
    vin = next(n for n, i in enumerate(entry.transaction.inputs) if i.previous == outpoint)
    return {"spent": True, "txid": entry.transaction.id, "vin": vin, "status": {"confirmed": False}}


def block_view(block: BlockNode) -> dict[str, Any]:
    """A block without its transactions."""
    header = block.block.header
    return {
        "id": display_hex(block.hash),
        "height": block.height,
        "version": header.version,
        "timestamp": header.time,
        "tx_count": len(block.block.transactions),
        "size": len(block.block.raw),
        "weight": block.block.weight,
        "merkle_root": display_hex(header.merkle_root),
        "previousblockhash": display_hex(header.previous) if block.parent else None,
        "mediantime": block.median_time_past,
        "nonce": header.nonce,
        "bits": header.bits,
        "difficulty": DIFFICULTY,
    }


def block_status_view(node: EmbeddedNode, block: BlockNode) -> dict[str, Any]:
    """Whether a block is part of the best chain."""
    if not node.chain.is_active(block):
        return {"in_best_chain": False}
    following = node.chain.active[block.height + 1] if block.height < node.height else None
    next_best = display_hex(following.hash) if following else None
    return {"in_best_chain": True, "height": block.height, "next_best": next_best}


def merkle_proof_view(node: EmbeddedNode, txid: bytes) -> dict[str, Any] | None:
    """Electrum's proof of a confirmed transaction."""
    located = node.chain.index.transactions.get(txid)
    if located is None:
        return None
    txids = [t.txid for t in node.chain.active[located.height].block.transactions]
    path = [display_hex(h) for h in merkle_path(txids, located.position)]
    return {"block_height": located.height, "merkle": path, "pos": located.position}


def confirmed_history(node: EmbeddedNode, key: bytes) -> list[Transaction]:
    """Confirmed transactions that touch a script (its SHA256), newest first."""
    index = node.chain.index
    return [index.transactions[txid].transaction for txid in reversed(index.history(key))]


def mempool_history(node: EmbeddedNode, key: bytes) -> list[Transaction]:
    """Unconfirmed transactions that touch a script, newest first."""
    touching = [
        entry.transaction
        for entry in node.mempool
        if any(script_hash(o.script) == key for o in (*entry.spent, *entry.transaction.outputs))
    ]
    return touching[::-1]


def statistics_view(node: EmbeddedNode, key: bytes, history: list[Transaction]) -> dict[str, Any]:
    """Counts and sums of a script over some transactions."""
    funded = [o.value for t in history for o in t.outputs if script_hash(o.script) == key]
    spent = [
        output.value
        for transaction in history
        if not transaction.is_coinbase
        for output in (_spent(node, i) for i in transaction.inputs)
        if output is not None and script_hash(output.script) == key
    ]
    return {
        "tx_count": len(history),
        "funded_txo_count": len(funded),
        "funded_txo_sum": sum(funded),
        "spent_txo_count": len(spent),
        "spent_txo_sum": sum(spent),
    }


def unspent_view(node: EmbeddedNode, key: bytes) -> list[dict[str, Any]]:
    """The unspent outputs of a script, unconfirmed ones included, without those the mempool spends."""
    found = [(outpoint, coin.output) for outpoint, coin in node.chain.index.unspent(key)]
    found += [
        (OutPoint(entry.txid, vout), output)
        for entry in node.mempool
        for vout, output in enumerate(entry.transaction.outputs)
        if script_hash(output.script) == key
    ]
    return [
        {
            "txid": display_hex(outpoint.txid),
            "vout": outpoint.vout,
            "status": status_view(node, outpoint.txid),
            "value": output.value,
        }
        for outpoint, output in found
        if outpoint not in node.mempool.spenders
    ]
