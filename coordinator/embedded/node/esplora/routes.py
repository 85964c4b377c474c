"""The addresses of Esplora's REST, and POST /faucet for development.

Handlers are synchronous and hold the node's lock. What they cannot find is 404, what they cannot read 400, in plain
text as Esplora answers. Lists of confirmed transactions come in pages of 25, blocks in pages of 10.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from coordinator.embedded.node.address import address_to_script
from coordinator.embedded.node.chain import BlockNode
from coordinator.embedded.node.codec import OutPoint, Transaction, TxOutput, display_hex
from coordinator.embedded.node.esplora import render
from coordinator.embedded.node.index import script_hash
from coordinator.embedded.node.node import EmbeddedNode
from coordinator.embedded.node.rpc.errors import RpcError
from coordinator.embedded.node.rpc.method import Context
from coordinator.embedded.node.rpc.transactions import sendrawtransaction, submitpackage
from coordinator_core.errors import CoreError, InvalidInput
from coordinator_core.units import sats

TRANSACTIONS_A_PAGE: Final = 25
BLOCKS_A_PAGE: Final = 10
MEMPOOL_A_PAGE: Final = 50
ESTIMATE_TARGETS: Final = (*range(1, 26), 144, 504, 1008)
JSON: Final = "application/json"
TEXT: Final = "text/plain"
BINARY: Final = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    content_type: str
    body: bytes


class NotFound(Exception):
    """Nothing known under this name; the text is the answer."""


Handler = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a path with named parts, and who answers."""

    method: str
    pattern: re.Pattern[str]
    handler: Handler


ROUTES: Final[list[Route]] = []


def route(method: str, *paths: str) -> Callable[[Handler], Handler]:
    """Register a handler; it takes the context, the body (POST only), and the named parts as text."""

    def register(handler: Handler) -> Handler:
        for path in paths:
            pattern = re.compile("".join(_part(p) for p in path.strip("/").split("/")) + "/?")
            ROUTES.append(Route(method, pattern, handler))
        return handler

    return register


def _part(part: str) -> str:
    return f"/(?P<{part[1:-1]}>[^/]+)" if part.startswith("{") else "/" + re.escape(part)


def answer(context: Context, method: str, path: str, body: bytes) -> Reply:
    """Find the route and run its handler."""
    allowed = False
    for entry in ROUTES:
        match = entry.pattern.fullmatch(path)
        if match is None:
            continue
        allowed = True
        if entry.method == method:
            return _run(context, entry, match.groupdict(), body)
    return _text(405, "Method not allowed") if allowed else _text(404, "endpoint does not exist")


def _run(context: Context, entry: Route, parts: dict[str, str], body: bytes) -> Reply:
    given = [body] if entry.method == "POST" else []
    try:
        with context.node.lock:
            return _reply(entry.handler(context, *given, **parts))
    except NotFound as missing:
        return _text(404, str(missing))
    except InvalidInput as wrong:
        return _text(400, str(wrong))
    except CoreError as failure:
        return _text(500, str(failure))


def _reply(result: Any) -> Reply:
    if isinstance(result, Reply):
        return result
    if isinstance(result, str):
        return _text(200, result)
    if isinstance(result, bytes):
        return Reply(200, BINARY, result)
    return Reply(200, JSON, msgspec.json.encode(result))


def _text(status: int, message: str) -> Reply:
    return Reply(status, TEXT, message.encode())


def _hash(value: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise InvalidInput("hash", "Invalid hex string", "give 64 hex digits")
    return bytes.fromhex(value)[::-1]


def _number(value: str, field: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", value):
        raise InvalidInput(field, "Invalid number", "give decimal digits")
    return int(value)


def _transaction(node: EmbeddedNode, txid: str) -> Transaction:
    found = render.find_transaction(node, _hash(txid))
    if found is None:
        raise NotFound("Transaction not found")
    return found


def _block(node: EmbeddedNode, block_hash: str) -> BlockNode:
    found = node.chain.nodes.get(_hash(block_hash))
    if found is None:
        raise NotFound("Block not found")
    return found


@route("GET", "/blocks/tip/height")
def tip_height(context: Context) -> str:
    """Height of the tip."""
    return str(context.node.height)


@route("GET", "/blocks/tip/hash")
def tip_hash(context: Context) -> str:
    """Hash of the tip."""
    return display_hex(context.node.tip.hash)


@route("GET", "/blocks", "/blocks/{start}")
def blocks(context: Context, start: str | None = None) -> list[dict[str, Any]]:
    """Ten blocks downwards from a height or the tip."""
    node = context.node
    top = node.height if start is None else min(_number(start, "start height"), node.height)
    return [render.block_view(node.chain.active[h]) for h in range(top, max(-1, top - BLOCKS_A_PAGE), -1)]


@route("GET", "/block-height/{height}")
def block_at(context: Context, height: str) -> str:
    """Hash of the active block at a height."""
    at = _number(height, "height")
    if at > context.node.height:
        raise NotFound("Block not found")
    return display_hex(context.node.chain.active[at].hash)


@route("GET", "/block/{block_hash}")
def block(context: Context, block_hash: str) -> dict[str, Any]:
    """A block."""
    return render.block_view(_block(context.node, block_hash))


@route("GET", "/block/{block_hash}/status")
def block_status(context: Context, block_hash: str) -> dict[str, Any]:
    """Whether a block is in the best chain."""
    return render.block_status_view(context.node, _block(context.node, block_hash))


@route("GET", "/block/{block_hash}/header")
def block_header(context: Context, block_hash: str) -> str:
    """The 80 bytes of a header in hex."""
    return _block(context.node, block_hash).block.raw[:80].hex()


@route("GET", "/block/{block_hash}/raw")
def block_raw(context: Context, block_hash: str) -> bytes:
    """A serialized block."""
    return _block(context.node, block_hash).block.raw


@route("GET", "/block/{block_hash}/txids")
def block_txids(context: Context, block_hash: str) -> list[str]:
    """Ids of a block's transactions."""
    return [t.id for t in _block(context.node, block_hash).block.transactions]


@route("GET", "/block/{block_hash}/txid/{position}")
def block_txid(context: Context, block_hash: str, position: str) -> str:
    """Id of one transaction of a block."""
    transactions = _block(context.node, block_hash).block.transactions
    at = _number(position, "position")
    if at >= len(transactions):
        raise NotFound("tx not found")
    return transactions[at].id


@route("GET", "/block/{block_hash}/txs", "/block/{block_hash}/txs/{start}")
def block_transactions(context: Context, block_hash: str, start: str = "0") -> list[dict[str, Any]]:
    """A page of a block's transactions."""
    first = _number(start, "start index")
    if first % TRANSACTIONS_A_PAGE:
        raise InvalidInput("start index", f"must be a multiple of {TRANSACTIONS_A_PAGE}", "0, 25, 50, ...")
    page = _block(context.node, block_hash).block.transactions[first : first + TRANSACTIONS_A_PAGE]
    if not page:
        raise NotFound("start index out of range")
    return [render.transaction_view(context.node, t) for t in page]


@route("GET", "/tx/{txid}")
def transaction(context: Context, txid: str) -> dict[str, Any]:
    """A transaction."""
    return render.transaction_view(context.node, _transaction(context.node, txid))


@route("GET", "/tx/{txid}/status")
def transaction_status(context: Context, txid: str) -> dict[str, Any]:
    """Whether and where a transaction is confirmed; unknown ones are not."""
    return render.status_view(context.node, _hash(txid))


@route("GET", "/tx/{txid}/hex")
def transaction_hex(context: Context, txid: str) -> str:
    """A serialized transaction in hex."""
    return _transaction(context.node, txid).raw.hex()


@route("GET", "/tx/{txid}/raw")
def transaction_raw(context: Context, txid: str) -> bytes:
    """A serialized transaction."""
    return _transaction(context.node, txid).raw


@route("GET", "/tx/{txid}/merkle-proof")
def merkle_proof(context: Context, txid: str) -> dict[str, Any]:
    """The way from a transaction to its block's merkle root."""
    proof = render.merkle_proof_view(context.node, _hash(txid))
    if proof is None:
        raise NotFound("Transaction not found or is unconfirmed")
    return proof


@route("GET", "/tx/{txid}/outspend/{vout}")
def outspend(context: Context, txid: str, vout: str) -> dict[str, Any]:
    """Who spends one output."""
    return render.outspend_view(context.node, OutPoint(_hash(txid), _number(vout, "vout")))


@route("GET", "/tx/{txid}/outspends")
def outspends(context: Context, txid: str) -> list[dict[str, Any]]:
    """Who spends each output."""
    found = _transaction(context.node, txid)
    return [render.outspend_view(context.node, OutPoint(found.txid, n)) for n in range(len(found.outputs))]


@route("POST", "/tx")
def broadcast(context: Context, body: bytes) -> str | Reply:
    """Submit a transaction in hex; its id."""
    try:
        return sendrawtransaction(context, body.decode("ascii", "replace").strip(), None, None)
    except RpcError as refusal:
        return _rpc_refusal("sendrawtransaction", refusal)


@route("POST", "/txs/package")
def broadcast_package(context: Context, body: bytes) -> dict[str, Any] | Reply:
    """Submit a JSON array of transactions in hex, parents before their child; the answer of submitpackage."""
    try:
        package = msgspec.json.decode(body, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidInput("body", "Invalid package", "a JSON array of transactions in hex") from None
    try:
        return submitpackage(context, package, None, None)
    except RpcError as refusal:
        return _rpc_refusal("submitpackage", refusal)


def _rpc_refusal(method: str, refusal: RpcError) -> Reply:
    told = json.dumps({"code": int(refusal.code), "message": refusal.message}, separators=(",", ":"))
    return _text(400, f"{method} RPC error: {told}")


@route("POST", "/faucet")
def faucet(context: Context, body: bytes) -> dict[str, Any]:
    """Pay {address, amount_sat} from the faucet; {txid, vout}. The payment waits in the mempool."""
    try:
        wanted = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidInput("body", "is no JSON object", "give address and amount_sat") from None
    output = TxOutput(int(sats(wanted.get("amount_sat"), "amount_sat")), address_to_script(wanted.get("address")))
    return {"txid": context.node.pay([output]).id, "vout": 0}


@route("GET", "/mempool")
def mempool(context: Context) -> dict[str, Any]:
    """Size and fees of the mempool."""
    entries = list(context.node.mempool)
    rates = sorted(((e.fee / e.transaction.vsize, e.transaction.vsize) for e in entries), reverse=True)
    return {
        "count": len(entries),
        "vsize": sum(e.transaction.vsize for e in entries),
        "total_fee": sum(e.fee for e in entries),
        "fee_histogram": rates,
    }


@route("GET", "/mempool/txids")
def mempool_txids(context: Context) -> list[str]:
    """Ids in the mempool."""
    return [e.transaction.id for e in context.node.mempool]


@route("GET", "/mempool/recent")
def mempool_recent(context: Context) -> list[dict[str, Any]]:
    """The last ten that came in, newest first."""
    latest = list(context.node.mempool)[: -BLOCKS_A_PAGE - 1 : -1]
    return [
        {
            "txid": e.transaction.id,
            "fee": e.fee,
            "vsize": e.transaction.vsize,
            "value": e.transaction.value_out,
        }
        for e in latest
    ]


@route("GET", "/fee-estimates")
def fee_estimates(context: Context) -> dict[str, float]:
    """sat/vB by confirmation target; empty without data."""
    found = {target: context.node.settings.estimate(target) for target in ESTIMATE_TARGETS}
    return {str(target): estimate[0] / 1000 for target, estimate in found.items() if estimate is not None}


def _key(kind: str, name: str) -> bytes:
    if kind == "scripthash":
        return _hash(name)[::-1]
    return script_hash(address_to_script(name))


def _for_scripts(path: str) -> Callable[[Handler], Handler]:
    """Register under address/ and scripthash/; the handler gets the SHA256 of the script and how it was named."""

    def register(handler: Handler) -> Handler:
        for kind in ("address", "scripthash"):
            route("GET", f"/{kind}/{{name}}{path}")(_bound(handler, kind))
        return handler

    return register


def _bound(handler: Handler, kind: str) -> Handler:
    def bound(context: Context, name: str, **rest: str) -> Any:
        return handler(context, _key(kind, name), {kind: name}, **rest)

    return bound


@_for_scripts("")
def script_statistics(context: Context, key: bytes, named: dict[str, str]) -> dict[str, Any]:
    """Counts and sums, confirmed and not."""
    node = context.node
    confirmed, unconfirmed = render.confirmed_history(node, key), render.mempool_history(node, key)
    return {
        **named,
        "chain_stats": render.statistics_view(node, key, confirmed),
        "mempool_stats": render.statistics_view(node, key, unconfirmed),
    }


@_for_scripts("/utxo")
def script_unspent(context: Context, key: bytes, named: dict[str, str]) -> list[dict[str, Any]]:
    """Unspent outputs."""
    return render.unspent_view(context.node, key)


@_for_scripts("/txs/mempool")
def script_mempool(context: Context, key: bytes, named: dict[str, str]) -> list[dict[str, Any]]:
    """Unconfirmed transactions, newest first."""
    found = render.mempool_history(context.node, key)[:MEMPOOL_A_PAGE]
    return [render.transaction_view(context.node, t) for t in found]


@_for_scripts("/txs")
def script_transactions(context: Context, key: bytes, named: dict[str, str]) -> list[dict[str, Any]]:
    """Unconfirmed transactions, then the first page of confirmed ones."""
    return script_mempool(context, key, named) + script_confirmed(context, key, named)


@_for_scripts("/txs/chain")
def script_confirmed(context: Context, key: bytes, named: dict[str, str]) -> list[dict[str, Any]]:
    """The first page of confirmed transactions, newest first."""
    page = render.confirmed_history(context.node, key)[:TRANSACTIONS_A_PAGE]
    return [render.transaction_view(context.node, t) for t in page]


@_for_scripts("/txs/chain/{last_seen}")
def script_confirmed_after(context: Context, key: bytes, named: dict[str, str], last_seen: str) -> list[dict[str, Any]]:
    """The page of confirmed transactions that follows one already seen."""
    found = render.confirmed_history(context.node, key)
    seen = _hash(last_seen)
    after = next((n + 1 for n, t in enumerate(found) if t.txid == seen), len(found))
    return [render.transaction_view(context.node, t) for t in found[after : after + TRANSACTIONS_A_PAGE]]
