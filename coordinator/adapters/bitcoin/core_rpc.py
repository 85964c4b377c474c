"""Bitcoin Core behind ports.bitcoin.Chain. Needs `txindex=1`, so that any transaction can be looked up."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from coordinator.adapters.bitcoin.rpc import SERVICE, CoreRpc, RpcError
from coordinator.ports.bitcoin import (
    Block,
    BlockTransaction,
    BroadcastResult,
    BroadcastVerdict,
    Coin,
    Network,
    Outpoint,
    Place,
    Spend,
    Tip,
    TransactionStatus,
)
from coordinator.ports.faults import Unsuitable
from coordinator_core.errors import Fault
from coordinator_core.units import Confirmations, FeeRate, Height, Sats, UnixTime

NOT_FOUND = -5
OUT_OF_RANGE = -8
ALREADY_IN_CHAIN = -27
SPEND_SEARCH_BLOCKS = 2_016
"""How far back a spend is searched for when no index has it: two weeks."""

_VERDICTS = (
    ("txn-already-known", BroadcastVerdict.ALREADY_KNOWN),
    ("txn-already-in-mempool", BroadcastVerdict.ALREADY_KNOWN),
    ("already in utxo set", BroadcastVerdict.ALREADY_KNOWN),
    ("already in block chain", BroadcastVerdict.ALREADY_KNOWN),
    ("min relay fee not met", BroadcastVerdict.FEE_TOO_LOW),
    ("mempool min fee not met", BroadcastVerdict.FEE_TOO_LOW),
    ("insufficient fee", BroadcastVerdict.CONFLICT),
    ("txn-mempool-conflict", BroadcastVerdict.CONFLICT),
    ("non-final", BroadcastVerdict.NOT_FINAL),
    ("non-bip68-final", BroadcastVerdict.NOT_FINAL),
    ("missingorspent", BroadcastVerdict.MISSING_INPUTS),
    ("missing-inputs", BroadcastVerdict.MISSING_INPUTS),
)


class CoreNode:
    """See ports.bitcoin.Chain."""

    def __init__(self, rpc: CoreRpc) -> None:
        self._rpc = rpc

    async def close(self) -> None:
        """Close all connections."""
        await self._rpc.close()

    async def network(self) -> Network:
        """See ports.bitcoin.Chain. Raises Unsuitable for a chain we do not know."""
        name = (await self._rpc.call("getblockchaininfo"))["chain"]
        try:
            return Network(name)
        except ValueError:
            raise Unsuitable(SERVICE, f"the node follows {name!r}", fault=Fault.COORDINATOR) from None

    async def tip(self) -> Tip:
        """See ports.bitcoin.Chain."""
        info = await self._rpc.call("getblockchaininfo")
        header = await self._rpc.call("getblockheader", info["bestblockhash"])
        return Tip(
            height=Height(header["height"]),
            block_hash=header["hash"],
            time=UnixTime(header["time"]),
            median_time_past=UnixTime(header["mediantime"]),
        )

    async def block_at(self, height: Height) -> Block | None:
        """See ports.bitcoin.Chain."""
        try:
            block_hash = await self._rpc.call("getblockhash", int(height))
        except RpcError as error:
            if error.number == OUT_OF_RANGE:
                return None
            raise
        return _block(await self._rpc.call("getblock", block_hash, 2))

    async def transaction_status(self, txid: str) -> TransactionStatus:
        """See ports.bitcoin.Chain."""
        found = await self._lookup(txid)
        if found is None:
            return TransactionStatus(Place.UNKNOWN)
        if not found.get("blockhash"):
            return TransactionStatus(Place.MEMPOOL)
        header = await self._rpc.call("getblockheader", found["blockhash"])
        if header["confirmations"] < 0:
            return TransactionStatus(Place.UNKNOWN)
        return TransactionStatus(Place.CHAIN, Height(header["height"]), found["blockhash"])

    async def raw_transaction(self, txid: str) -> bytes | None:
        """See ports.bitcoin.Chain."""
        found = await self._lookup(txid)
        return None if found is None else bytes.fromhex(found["hex"])

    async def _lookup(self, txid: str) -> dict[str, Any] | None:
        try:
            return await self._rpc.call("getrawtransaction", txid, True)
        except RpcError as error:
            if error.number == NOT_FOUND:
                return None
            raise

    async def spend_of(self, outpoint: Outpoint) -> Spend | None:
        """See ports.bitcoin.Chain. A spend in the chain is found if it is at most two weeks old."""
        asked = [{"txid": outpoint.txid, "vout": outpoint.vout}]
        in_mempool = (await self._rpc.call("gettxspendingprevout", asked))[0].get("spendingtxid")
        if in_mempool:
            return Spend(in_mempool, TransactionStatus(Place.MEMPOOL))
        if await self._rpc.call("gettxout", outpoint.txid, outpoint.vout, False) is not None:
            return None
        parent = await self.transaction_status(outpoint.txid)
        if parent.height is None:
            return None
        return await self._search_spend(outpoint, parent.height)

    async def _search_spend(self, outpoint: Outpoint, since: Height) -> Spend | None:
        tip = (await self.tip()).height
        for height in range(tip, max(since, tip - SPEND_SEARCH_BLOCKS) - 1, -1):
            block = await self.block_at(Height(height))
            for transaction in block.transactions if block is not None else ():
                if block is not None and outpoint in transaction.spends:
                    status = TransactionStatus(Place.CHAIN, block.height, block.block_hash)
                    return Spend(transaction.txid, status)
        return None

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[Coin, ...]:
        """See ports.bitcoin.Chain. Confirmed coins only: what the wallet spends must not hang on a parent."""
        if not scripts:
            return ()
        descriptors = [f"raw({script.hex()})" for script in scripts]
        found = await self._rpc.call("scantxoutset", "start", descriptors)
        tip = found["height"]
        return tuple(
            Coin(
                outpoint=Outpoint(coin["txid"], coin["vout"]),
                value=_sats(coin["amount"]),
                script=bytes.fromhex(coin["scriptPubKey"]),
                confirmations=Confirmations(tip - coin["height"] + 1),
            )
            for coin in found["unspents"]
            if not (coin.get("coinbase") and tip - coin["height"] + 1 < 100)
        )

    async def broadcast(self, raw: bytes) -> BroadcastResult:
        """See ports.bitcoin.Chain."""
        try:
            await self._rpc.call("sendrawtransaction", raw.hex())
        except RpcError as error:
            return _refusal(error)
        return BroadcastResult(BroadcastVerdict.ACCEPTED)

    async def broadcast_package(self, raws: Sequence[bytes]) -> BroadcastResult:
        """See ports.bitcoin.Chain."""
        try:
            answer = await self._rpc.call("submitpackage", [raw.hex() for raw in raws])
        except RpcError as error:
            return _refusal(error)
        if answer.get("package_msg") == "success":
            return BroadcastResult(BroadcastVerdict.ACCEPTED)
        reasons = [r["error"] for r in answer.get("tx-results", {}).values() if r.get("error")]
        return _verdict(reasons[0] if reasons else str(answer.get("package_msg")))

    async def fee_rate(self, target_blocks: int) -> FeeRate | None:
        """See ports.bitcoin.Chain."""
        estimate = (await self._rpc.call("estimatesmartfee", target_blocks)).get("feerate")
        return None if estimate is None else _rate(estimate)

    async def relay_floor(self) -> FeeRate:
        """See ports.bitcoin.Chain."""
        info = await self._rpc.call("getmempoolinfo")
        return max(_rate(info["mempoolminfee"]), _rate(info["minrelaytxfee"]))


def _block(found: dict[str, Any]) -> Block:
    return Block(
        height=Height(found["height"]),
        block_hash=found["hash"],
        previous_hash=found.get("previousblockhash", ""),
        time=UnixTime(found["time"]),
        median_time_past=UnixTime(found["mediantime"]),
        transactions=tuple(_transaction(item) for item in found["tx"]),
    )


def _transaction(item: dict[str, Any]) -> BlockTransaction:
    spends = tuple(Outpoint(i["txid"], i["vout"]) for i in item["vin"] if "txid" in i)
    return BlockTransaction(item["txid"], spends, tuple(bytes.fromhex(o["scriptPubKey"]["hex"]) for o in item["vout"]))


def _sats(amount: object) -> Sats:
    # Core writes amounts with eight decimals; going through the text keeps binary floats out of money.
    return Sats(int((Decimal(str(amount)) * 100_000_000).to_integral_value()))


def _rate(per_kvb: object) -> FeeRate:
    """BTC per 1,000 virtual bytes to satoshi per 1,000 weight units, rounded up."""
    return FeeRate(-(-_sats(per_kvb) // 4))


def _refusal(error: RpcError) -> BroadcastResult:
    if error.number == ALREADY_IN_CHAIN:
        return BroadcastResult(BroadcastVerdict.ALREADY_KNOWN, error.message)
    return _verdict(error.message)


def _verdict(reason: str) -> BroadcastResult:
    text = reason.lower()
    for words, verdict in _VERDICTS:
        if words in text:
            return BroadcastResult(verdict, reason)
    return BroadcastResult(BroadcastVerdict.INVALID, reason)
