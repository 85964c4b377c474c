"""Methods about raw transactions: look up, decode, send, test, packages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from coordinator.embedded.node.codec import OutPoint, Transaction, display_hex
from coordinator.embedded.node.errors import RejectionKind, TransactionRejected
from coordinator.embedded.node.fees import COIN, fee_at, rate_of
from coordinator.embedded.node.index import is_unspendable
from coordinator.embedded.node.package import (
    MAX_PACKAGE_COUNT,
    Outcome,
    PackageResult,
    is_child_with_parents,
    malformation,
)
from coordinator.embedded.node.rpc.errors import Code, RpcError
from coordinator.embedded.node.rpc.method import Context, MethodTable, anything, array, flag, text
from coordinator.embedded.node.rpc.render import btc, transaction_view
from coordinator.embedded.node.rpc.values import (
    amount,
    hash_value,
    integer,
    known_block,
    raw_transaction,
    raw_transactions,
)

TABLE = MethodTable()

DEFAULT_MAX_FEE_RATE_SAT_PER_KVB: Final = COIN // 10
DECODE_FAILED: Final = "TX decode failed. Make sure the tx has at least one input."
MAX_FEE_EXCEEDED: Final = "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)"
MAX_BURN_EXCEEDED: Final = "Unspendable output exceeds maximum configured by user (maxburnamount)"
BAD_TOPOLOGY: Final = "package topology disallowed. not child-with-parents or parents depend on each other."
UNKNOWN: Final = "No such mempool or blockchain transaction. Use gettransaction for wallet transactions."


@TABLE.method(text("txid"), anything("verbosity", 0), text("blockhash", None))
def getrawtransaction(context: Context, txid: str, verbosity: Any, blockhash: str | None) -> Any:
    """Returns a transaction of chain or mempool: hex, or decoded with 1 or 2."""
    level = int(verbosity) if isinstance(verbosity, bool) else integer(verbosity)
    key = hash_value(txid, "parameter 1")
    transaction, facts = _find(context, key) if blockhash is None else _find_in(context, key, blockhash)
    if level <= 0:
        return transaction.raw.hex()
    return transaction_view(context.node, transaction, fee=level > 1, prevouts=level > 1) | facts


def _find(context: Context, txid: bytes) -> tuple[Transaction, dict[str, Any]]:
    node = context.node
    entry = node.mempool.get(txid)
    if entry is not None:
        return entry.transaction, {}
    located = node.chain.index.transactions.get(txid)
    if located is not None:
        block_time = node.chain.active[located.height].time
        facts = {
            "blockhash": display_hex(located.block_hash),
            "confirmations": node.height - located.height + 1,
            "time": block_time,
            "blocktime": block_time,
        }
        return located.transaction, facts
    stale = node.chain.index.stale.get(txid)
    if stale is None:
        raise RpcError(Code.INVALID_ADDRESS_OR_KEY, UNKNOWN)
    return stale.transaction, {"blockhash": display_hex(stale.block_hash), "confirmations": 0}


def _find_in(context: Context, txid: bytes, blockhash: str) -> tuple[Transaction, dict[str, Any]]:
    node = context.node
    block = known_block(node, blockhash)
    for transaction in block.block.transactions:
        if transaction.txid == txid:
            active = node.chain.is_active(block)
            facts: dict[str, Any] = {"in_active_chain": active, "blockhash": blockhash}
            facts["confirmations"] = node.height - block.height + 1 if active else 0
            if active:
                facts |= {"time": block.time, "blocktime": block.time}
            return transaction, facts
    message = "No such transaction found in the provided block. Use gettransaction for wallet transactions."
    raise RpcError(Code.INVALID_ADDRESS_OR_KEY, message)


@TABLE.method(text("hexstring"), flag("iswitness", None))
def decoderawtransaction(context: Context, hexstring: str, iswitness: bool | None) -> dict[str, Any]:
    """Decodes a transaction."""
    return transaction_view(context.node, raw_transaction(hexstring, "TX decode failed"), raw=False)


@TABLE.method(text("hexstring"), anything("maxfeerate", None), anything("maxburnamount", None))
def sendrawtransaction(context: Context, hexstring: str, maxfeerate: Any, maxburnamount: Any) -> str:
    """Submits a transaction to the mempool and returns its id."""
    node = context.node
    transaction = raw_transaction(hexstring, DECODE_FAILED)
    _check_burn(transaction, maxburnamount)
    outputs = range(len(transaction.outputs))
    if any(node.chain.coin(OutPoint(transaction.txid, vout)) for vout in outputs):
        raise RpcError(Code.ALREADY_IN_UTXO_SET, "Transaction outputs already in utxo set")
    if transaction.txid in node.mempool:
        return transaction.id
    try:
        candidate = node.test(transaction)
        if _exceeds(candidate.fee, transaction, _max_rate(maxfeerate)):
            raise RpcError(Code.TRANSACTION_ERROR, MAX_FEE_EXCEEDED)
        node.send(transaction, unbroadcast=True)
    except TransactionRejected as refusal:
        missing = refusal.kind is RejectionKind.MISSING_INPUTS
        raise RpcError(Code.TRANSACTION_ERROR if missing else Code.TRANSACTION_REJECTED, str(refusal)) from None
    return transaction.id


def _check_burn(transaction: Transaction, maxburnamount: Any) -> None:
    limit = 0 if maxburnamount is None else amount(maxburnamount)
    if any(is_unspendable(o.script) and o.value > limit for o in transaction.outputs):
        raise RpcError(Code.TRANSACTION_ERROR, MAX_BURN_EXCEEDED)


def _max_rate(maxfeerate: Any) -> int:
    """sat/kvB, 0 for no limit."""
    if maxfeerate is None:
        return DEFAULT_MAX_FEE_RATE_SAT_PER_KVB
    rate = amount(maxfeerate)
    if rate > COIN:
        raise RpcError(Code.INVALID_PARAMETER, "Fee rates larger than 1BTC/kvB are rejected")
    return rate


def _exceeds(fee: int, transaction: Transaction, max_rate: int) -> bool:
    return max_rate > 0 and fee > fee_at(max_rate, transaction.vsize)


def _check_count(rawtxs: Sequence[Any], noun: str = "transactions") -> None:
    if not 1 <= len(rawtxs) <= MAX_PACKAGE_COUNT:
        message = f"Array must contain between 1 and {MAX_PACKAGE_COUNT} {noun}."
        raise RpcError(Code.INVALID_PARAMETER, message)


@TABLE.method(array("rawtxs"), anything("maxfeerate", None))
def testmempoolaccept(context: Context, rawtxs: list[Any], maxfeerate: Any) -> list[dict[str, Any]]:
    """Says whether the mempool would take transactions."""
    _check_count(rawtxs)
    limit = _max_rate(maxfeerate)
    transactions = raw_transactions(rawtxs)
    wrong = malformation(transactions)
    if wrong is not None:
        return [_ids(t) | {"package-error": wrong} for t in transactions]
    outcomes = [_tested(context, transactions[0])] if len(transactions) == 1 else context.node.test_each(transactions)
    views: list[dict[str, Any]] = []
    for outcome in outcomes:
        views.append(_ids(outcome.transaction) | _verdict(outcome, limit))
        if views[-1].get("reject-reason") == "max-fee-exceeded":
            return views + [_ids(o.transaction) for o in outcomes[len(views) :]]
    return views


def _tested(context: Context, transaction: Transaction) -> Outcome:
    try:
        candidate = context.node.test(transaction)
    except TransactionRejected as refusal:
        return Outcome(transaction, error=refusal)
    rate = rate_of(candidate.modified_fee, transaction.vsize)
    return Outcome(transaction, fee=candidate.fee, effective_rate=rate, included=(transaction.wtxid,))


def _ids(transaction: Transaction) -> dict[str, Any]:
    return {"txid": transaction.id, "wtxid": display_hex(transaction.wtxid)}


def _verdict(outcome: Outcome, max_rate: int) -> dict[str, Any]:
    if outcome.error is not None:
        if outcome.error.kind is RejectionKind.MISSING_INPUTS:
            return {"allowed": False, "reject-reason": "missing-inputs"}
        return {"allowed": False, "reject-reason": outcome.error.reason, "reject-details": str(outcome.error)}
    if outcome.fee is None:
        return {}
    if _exceeds(outcome.fee, outcome.transaction, max_rate):
        return {"allowed": False, "reject-reason": "max-fee-exceeded"}
    return {"allowed": True, "vsize": outcome.transaction.vsize, "fees": _fees(outcome)}


def _fees(outcome: Outcome) -> dict[str, Any]:
    fees: dict[str, Any] = {"base": btc(outcome.fee or 0)}
    if outcome.effective_rate is not None:
        fees["effective-feerate"] = btc(outcome.effective_rate)
        fees["effective-includes"] = [display_hex(wtxid) for wtxid in outcome.included]
    return fees


@TABLE.method(array("package"), anything("maxfeerate", None), anything("maxburnamount", None))
def submitpackage(context: Context, package: list[Any], maxfeerate: Any, maxburnamount: Any) -> dict[str, Any]:
    """Submits a child with its parents, judged by what they pay together."""
    _check_count(package)
    limit = _max_rate(maxfeerate)
    transactions = raw_transactions(package)
    for transaction in transactions:
        _check_burn(transaction, maxburnamount)
    if len(transactions) > 1 and not is_child_with_parents(transactions):
        raise RpcError(Code.TRANSACTION_ERROR, BAD_TOPOLOGY)
    return package_view(context.node.submit_package(transactions, limit))


def package_view(result: PackageResult) -> dict[str, Any]:
    """The answer of submitpackage."""
    return {
        "package_msg": result.message,
        "tx-results": {display_hex(o.transaction.wtxid): _package_entry(o) for o in result.outcomes},
        "replaced-transactions": [display_hex(txid) for txid in result.replaced],
    }


def _package_entry(outcome: Outcome) -> dict[str, Any]:
    view: dict[str, Any] = {"txid": outcome.transaction.id}
    if outcome.error is not None:
        return view | {"error": str(outcome.error)}
    if outcome.other_wtxid is not None:
        return view | {"other-wtxid": display_hex(outcome.other_wtxid)}
    return view | {"vsize": outcome.transaction.vsize, "fees": _fees(outcome)}
