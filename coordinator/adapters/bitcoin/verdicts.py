"""What a node says about a transaction that it refused, as a verdict.

Core's reject reasons are stable words of its validation; a word that is not here is a refusal for good.
"""

from __future__ import annotations

from coordinator.adapters.bitcoin.wire import Package
from coordinator.ports.bitcoin import BroadcastResult, BroadcastVerdict, Chain, Place
from coordinator_core.errors import InvalidInput
from coordinator_core.transaction import Transaction

DOES_NOT_DECODE, VERIFY_ERROR, VERIFY_REJECTED, ALREADY_IN_UTXO_SET = -22, -25, -26, -27
VERDICT_CODES = frozenset({DOES_NOT_DECODE, VERIFY_ERROR, VERIFY_REJECTED, ALREADY_IN_UTXO_SET})
"""RPC errors that judge the transaction. All others are about the call or the node."""

_WORDS = (
    ("txn-already-known", BroadcastVerdict.ALREADY_KNOWN),
    ("txn-already-in-mempool", BroadcastVerdict.ALREADY_KNOWN),
    ("txn-same-nonwitness-data-in-mempool", BroadcastVerdict.ALREADY_KNOWN),
    ("already in utxo set", BroadcastVerdict.ALREADY_KNOWN),
    ("already in block chain", BroadcastVerdict.ALREADY_KNOWN),
    ("min relay fee not met", BroadcastVerdict.FEE_TOO_LOW),
    ("mempool min fee not met", BroadcastVerdict.FEE_TOO_LOW),
    ("mempool full", BroadcastVerdict.FEE_TOO_LOW),
    ("insufficient fee", BroadcastVerdict.CONFLICT),
    ("replacement-failed", BroadcastVerdict.CONFLICT),
    ("insufficient anti-dos fees", BroadcastVerdict.CONFLICT),
    ("does not improve feerate diagram", BroadcastVerdict.CONFLICT),
    ("bad-txns-spends-conflicting-tx", BroadcastVerdict.CONFLICT),
    ("txn-mempool-conflict", BroadcastVerdict.CONFLICT),
    ("non-final", BroadcastVerdict.NOT_FINAL),
    ("non-bip68-final", BroadcastVerdict.NOT_FINAL),
    ("premature-spend-of-coinbase", BroadcastVerdict.NOT_FINAL),
    ("missingorspent", BroadcastVerdict.MISSING_INPUTS),
    ("missing-inputs", BroadcastVerdict.MISSING_INPUTS),
)


def verdict_of(reason: str) -> BroadcastResult:
    """The verdict behind the node's words."""
    text = reason.lower()
    for words, verdict in _WORDS:
        if words in text:
            return BroadcastResult(verdict, reason)
    return BroadcastResult(BroadcastVerdict.INVALID, reason)


def package_verdict(package: Package, raws: list[Transaction]) -> BroadcastResult:
    """The verdict on the child, the last of `raws`; a parent that was refused is the reason.

    The child of a refused parent reads "missing inputs", which says nothing.
    """
    if package.package_msg == "success":
        return BroadcastResult(BroadcastVerdict.ACCEPTED)
    for transaction in raws:
        found = package.results.get(transaction.wtxid[::-1].hex())
        if found is not None and found.error:
            result = verdict_of(found.error)
            if not result.in_node:
                return result
    return verdict_of(package.package_msg)


async def settle_missing(chain: Chain, raw: bytes, result: BroadcastResult) -> BroadcastResult:
    """A confirmed transaction whose outputs are all spent is refused like one with missing inputs: look before saying
    so.
    """
    if result.verdict is not BroadcastVerdict.MISSING_INPUTS:
        return result
    status = await chain.transaction_status(txid_of(raw))
    if status.place is Place.UNKNOWN:
        return result
    return BroadcastResult(BroadcastVerdict.ALREADY_KNOWN, result.reason)


async def missing_parents(chain: Chain, raws: list[Transaction]) -> list[Transaction]:
    """The child and those parents that are not in the chain yet: the ones there would be refused as spent."""
    *parents, child = raws
    wanted = [p for p in parents if (await chain.transaction_status(p.txid[::-1].hex())).place is not Place.CHAIN]
    return [*wanted, child]


def txid_of(raw: bytes) -> str:
    """Txid of a serialized transaction. Raises InvalidInput."""
    return Transaction.parse(raw).txid[::-1].hex()


def read_package(raws: list[bytes]) -> list[Transaction]:
    """Parents and one child. Raises InvalidInput."""
    if not raws:
        raise InvalidInput("package", "is empty", "parents before their child")
    return [Transaction.parse(raw, f"package[{index}]") for index, raw in enumerate(raws)]
