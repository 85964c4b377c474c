"""Methods about the mempool."""

from __future__ import annotations

from typing import Any

from coordinator.embedded.node.codec import OutPoint, display_hex
from coordinator.embedded.node.fees import (
    CLUSTER_COUNT_LIMIT,
    CLUSTER_SIZE_LIMIT_VB,
    INCREMENTAL_RELAY_SAT_PER_KVB,
)
from coordinator.embedded.node.mempool import Entry
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator.embedded.node.rpc.method import Context, MethodTable, anything, array, flag, number, text
from coordinator.embedded.node.rpc.render import btc
from coordinator.embedded.node.rpc.values import hash_value, integer
from coordinator.embedded.node.standardness import MAX_DATA_CARRIER

TABLE = MethodTable()


@TABLE.method()
def getmempoolinfo(context: Context) -> dict[str, Any]:
    """Returns facts about the mempool."""
    node = context.node
    entries = list(node.mempool)
    return {
        "loaded": True,
        "size": len(entries),
        "bytes": sum(e.transaction.vsize for e in entries),
        "usage": sum(len(e.transaction.raw) for e in entries),
        "total_fee": btc(sum(e.fee for e in entries)),
        "maxmempool": 300_000_000,
        "mempoolminfee": btc(node.settings.entry_minimum),
        "minrelaytxfee": btc(node.settings.min_relay),
        "incrementalrelayfee": btc(INCREMENTAL_RELAY_SAT_PER_KVB),
        "unbroadcastcount": sum(e.unbroadcast for e in entries),
        "permitbaremultisig": True,
        "maxdatacarriersize": MAX_DATA_CARRIER,
        "limitclustercount": CLUSTER_COUNT_LIMIT,
        "limitclustersize": CLUSTER_SIZE_LIMIT_VB,
        "optimal": True,
    }


@TABLE.method(flag("verbose", False), flag("mempool_sequence", False))
def getrawmempool(context: Context, verbose: bool, mempool_sequence: bool) -> Any:
    """Returns the ids in the mempool."""
    if verbose and mempool_sequence:
        raise RpcError(Code.INVALID_PARAMETER, "Verbose results cannot contain mempool sequence values.")
    entries = list(context.node.mempool)
    if verbose:
        return {e.transaction.id: _entry_view(context, e) for e in entries}
    ids = [e.transaction.id for e in entries]
    return {"txids": ids, "mempool_sequence": context.node.mempool.sequence} if mempool_sequence else ids


@TABLE.method(text("txid"))
def getmempoolentry(context: Context, txid: str) -> dict[str, Any]:
    """Returns the mempool's facts about a transaction."""
    return _entry_view(context, _entry(context, txid))


def _entry(context: Context, txid: str) -> Entry:
    entry = context.node.mempool.get(hash_value(txid, "txid"))
    if entry is None:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, "Transaction not in mempool")
    return entry


def _entry_view(context: Context, entry: Entry) -> dict[str, Any]:
    mempool = context.node.mempool
    ancestors, descendants = mempool.ancestors([entry.txid]), mempool.descendants([entry.txid])
    ancestor_fee, ancestor_size = mempool.total(ancestors)
    descendant_fee, descendant_size = mempool.total(descendants)
    chunk = next(c for c in mempool.chunks_of(entry.txid) if entry.txid in c.txids)
    return {
        "vsize": entry.transaction.vsize,
        "weight": entry.transaction.weight,
        "time": entry.time,
        "height": entry.height,
        "descendantcount": len(descendants),
        "descendantsize": descendant_size,
        "ancestorcount": len(ancestors),
        "ancestorsize": ancestor_size,
        "wtxid": display_hex(entry.transaction.wtxid),
        "chunkweight": chunk.weight,
        "fees": {
            "base": btc(entry.fee),
            "modified": btc(mempool.modified_fee(entry)),
            "ancestor": btc(ancestor_fee),
            "descendant": btc(descendant_fee),
            "chunk": btc(chunk.fee),
        },
        "depends": [display_hex(t) for t in sorted(entry.parents)],
        "spentby": [display_hex(t) for t in sorted(entry.children)],
        "unbroadcast": entry.unbroadcast,
    }


@TABLE.method(text("txid"))
def getmempoolcluster(context: Context, txid: str) -> dict[str, Any]:
    """Returns the cluster a transaction belongs to."""
    entry = _entry(context, txid)
    cut = context.node.mempool.chunks_of(entry.txid)
    return {
        "clusterweight": sum(c.weight for c in cut),
        "txcount": sum(len(c.txids) for c in cut),
        "chunks": [
            {"chunkfee": btc(c.fee), "chunkweight": c.weight, "txs": [display_hex(t) for t in c.txids]} for c in cut
        ],
    }


@TABLE.method(array("outputs"))
def gettxspendingprevout(context: Context, outputs: list[Any]) -> list[dict[str, Any]]:
    """Returns which mempool transactions spend some outputs."""
    if not outputs:
        raise RpcError(Code.INVALID_PARAMETER, "Invalid parameter, outputs are missing")
    views: list[dict[str, Any]] = []
    for given in outputs:
        if not isinstance(given, dict) or {"txid", "vout"} - given.keys():
            raise RpcError(Code.TYPE_ERROR, "Missing txid or vout")
        outpoint = OutPoint(hash_value(given["txid"], "txid"), integer(given["vout"], 0, 0xFFFFFFFF))
        view: dict[str, Any] = {"txid": given["txid"], "vout": outpoint.vout}
        spender = context.node.mempool.spenders.get(outpoint)
        if spender is not None:
            view["spendingtxid"] = display_hex(spender)
        views.append(view)
    return views


@TABLE.method(text("txid"), anything("dummy", None), number("fee_delta"))
def prioritisetransaction(context: Context, txid: str, dummy: Any, fee_delta: Any) -> bool:
    """Adds satoshi to the fee a transaction is ordered by."""
    if dummy not in (None, 0):
        raise RpcError(Code.INVALID_PARAMETER, "Priority is no longer supported, dummy argument must be 0.")
    key = hash_value(txid, "txid")
    deltas = context.node.mempool.fee_deltas
    deltas[key] = deltas.get(key, 0) + integer(fee_delta)
    if deltas[key] == 0:
        del deltas[key]
    return True


@TABLE.method()
def getprioritisedtransactions(context: Context) -> dict[str, Any]:
    """Returns all fee deltas."""
    mempool = context.node.mempool
    views: dict[str, Any] = {}
    for txid, delta in mempool.fee_deltas.items():
        entry = mempool.get(txid)
        views[display_hex(txid)] = {"fee_delta": delta, "in_mempool": entry is not None}
        if entry is not None:
            views[display_hex(txid)]["modified_fee"] = mempool.modified_fee(entry)
    return views
