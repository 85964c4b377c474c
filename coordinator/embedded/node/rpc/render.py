"""Drawing blocks, transactions and amounts as Core's RPC does. Amounts keep their eight decimals on the wire."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from coordinator.embedded.node.address import script_to_address
from coordinator.embedded.node.block import REGTEST_BITS, REGTEST_TARGET
from coordinator.embedded.node.chain import BlockNode
from coordinator.embedded.node.codec import OutPoint, Transaction, TxInput, TxOutput, display_hex
from coordinator.embedded.node.descriptor import descriptor_of
from coordinator.embedded.node.fees import COIN
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.script import core_asm, script_type

BITS_HEX: Final = f"{REGTEST_BITS:08x}"
TARGET_HEX: Final = f"{REGTEST_TARGET:064x}"
DIFFICULTY: Final = 4.656542373906925e-10


def btc(sat: int) -> msgspec.Raw:
    """Satoshi as a JSON number of bitcoin with eight decimals."""
    sign, whole = "-" if sat < 0 else "", abs(sat)
    return msgspec.Raw(f"{sign}{whole // COIN}.{whole % COIN:08d}".encode())


def script_view(script: bytes) -> dict[str, Any]:
    """scriptPubKey."""
    view: dict[str, Any] = {"asm": core_asm(script), "desc": descriptor_of(script), "hex": script.hex()}
    address = script_to_address(script)
    if address is not None:
        view["address"] = address
    view["type"] = script_type(script).value
    return view


def output_view(output: TxOutput, index: int) -> dict[str, Any]:
    """One entry of vout."""
    return {"value": btc(output.value), "n": index, "scriptPubKey": script_view(output.script)}


def spent_output(node: EmbeddedNode, outpoint: OutPoint) -> TxOutput | None:
    """The output an input spends, of the chain or of the mempool."""
    return node.chain.index.output(outpoint) or node.mempool.output(outpoint)


def transaction_view(
    node: EmbeddedNode, transaction: Transaction, *, fee: bool = False, prevouts: bool = False, raw: bool = True
) -> dict[str, Any]:
    """A decoded transaction, with its fee and the outputs it spends if asked."""
    view: dict[str, Any] = {
        "txid": transaction.id,
        "hash": display_hex(transaction.wtxid),
        "version": transaction.version,
        "size": len(transaction.raw),
        "vsize": transaction.vsize,
        "weight": transaction.weight,
        "locktime": transaction.lock_time,
        "vin": [_input_view(node, transaction, spend, prevouts) for spend in transaction.inputs],
        "vout": [output_view(output, n) for n, output in enumerate(transaction.outputs)],
    }
    if fee and not transaction.is_coinbase:
        spent = [spent_output(node, i.previous) for i in transaction.inputs]
        if all(spent):
            view["fee"] = btc(sum(o.value for o in spent if o) - transaction.value_out)
    if raw:
        view["hex"] = transaction.raw.hex()
    return view


def _input_view(node: EmbeddedNode, transaction: Transaction, spend: TxInput, prevouts: bool) -> dict[str, Any]:
    view: dict[str, Any] = {}
    if transaction.is_coinbase:
        view["coinbase"] = spend.script_sig.hex()
    else:
        view["txid"], view["vout"] = display_hex(spend.previous.txid), spend.previous.vout
        view["scriptSig"] = {"asm": core_asm(spend.script_sig), "hex": spend.script_sig.hex()}
    if spend.witness:
        view["txinwitness"] = [item.hex() for item in spend.witness]
    if prevouts and not transaction.is_coinbase:
        prevout = _prevout_view(node, spend.previous)
        if prevout is not None:
            view["prevout"] = prevout
    view["sequence"] = spend.sequence
    return view


def _prevout_view(node: EmbeddedNode, outpoint: OutPoint) -> dict[str, Any] | None:
    output = spent_output(node, outpoint)
    if output is None:
        return None
    located = node.chain.index.transactions.get(outpoint.txid)
    return {
        "generated": located is not None and located.position == 0,
        "height": located.height if located else node.height + 1,
        "value": btc(output.value),
        "scriptPubKey": script_view(output.script),
    }


def confirmations(node: EmbeddedNode, block: BlockNode) -> int:
    """1 for the tip, -1 outside of the active chain."""
    return node.height - block.height + 1 if node.chain.is_active(block) else -1


def header_view(node: EmbeddedNode, block: BlockNode) -> dict[str, Any]:
    """A decoded block header."""
    header = block.block.header
    view: dict[str, Any] = {
        "hash": display_hex(block.hash),
        "confirmations": confirmations(node, block),
        "height": block.height,
        "version": header.version,
        "versionHex": f"{header.version:08x}",
        "merkleroot": display_hex(header.merkle_root),
        "time": header.time,
        "mediantime": block.median_time_past,
        "nonce": header.nonce,
        "bits": BITS_HEX,
        "target": TARGET_HEX,
        "difficulty": DIFFICULTY,
        "chainwork": f"{block.chain_work:064x}",
        "nTx": len(block.block.transactions),
    }
    if block.parent is not None:
        view["previousblockhash"] = display_hex(block.parent.hash)
    if node.chain.is_active(block) and block.height < node.height:
        view["nextblockhash"] = display_hex(node.chain.active[block.height + 1].hash)
    return view


def block_view(node: EmbeddedNode, block: BlockNode, verbosity: int) -> dict[str, Any]:
    """A decoded block: 1 with txids, 2 with transactions, 3 with the outputs they spend."""
    parsed = block.block
    view = header_view(node, block)
    view["strippedsize"], view["size"], view["weight"] = parsed.stripped_size, len(parsed.raw), parsed.weight
    first = parsed.transactions[0]
    view["coinbase_tx"] = _coinbase_view(first)
    if verbosity == 1:
        view["tx"] = [t.id for t in parsed.transactions]
    else:
        view["tx"] = [transaction_view(node, t, fee=True, prevouts=verbosity > 2) for t in parsed.transactions]
    return view


def _coinbase_view(transaction: Transaction) -> dict[str, Any]:
    spend = transaction.inputs[0]
    view: dict[str, Any] = {
        "version": transaction.version,
        "locktime": transaction.lock_time,
        "sequence": spend.sequence,
        "coinbase": spend.script_sig.hex(),
    }
    if spend.witness:
        view["witness"] = spend.witness[0].hex()
    return view
