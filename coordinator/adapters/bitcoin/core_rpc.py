"""Bitcoin Core behind ports.bitcoin.Chain. Needs `txindex=1`, so that any transaction can be looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from coordinator.adapters.bitcoin import wire
from coordinator.adapters.bitcoin.raw_block import Served, checked_block
from coordinator.adapters.bitcoin.rpc import SERVICE, CoreRpc, RpcError
from coordinator.adapters.bitcoin.verdicts import (
    VERDICT_CODES,
    missing_parents,
    package_verdict,
    read_package,
    settle_missing,
    verdict_of,
)
from coordinator.ports.bitcoin import (
    Block,
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
from coordinator.ports.faults import Unreachable, Unsuitable
from coordinator_core.errors import Fault
from coordinator_core.units import Confirmations, FeeRate, Height, UnixTime

NOT_FOUND: Final = -5
INVALID_PARAMETER: Final = -8
"""Of getblockhash: out of range. Of scantxoutset: another scan is running."""
SPEND_SEARCH_BLOCKS: Final = 2_016
"""How far back a spend is searched for: two weeks."""
SCAN_SECONDS: Final = 600.0
SCAN_PAUSE_SECONDS: Final = 5.0
COINBASE_MATURITY: Final = 100
TIP_MOVES: Final = 5
_OP_RETURN: Final = b"\x6a"


class CoreNode:
    """See ports.bitcoin.Chain."""

    def __init__(self, rpc: CoreRpc, *, network: Network, spend_search_blocks: int = SPEND_SEARCH_BLOCKS) -> None:
        """`network`: whose least work every block must show."""
        self._rpc = rpc
        self._network = network
        self._spend_search_blocks = spend_search_blocks
        # Core scans its UTXO set for one caller at a time and refuses the next.
        self._scan = asyncio.Lock()

    @property
    def rpc(self) -> CoreRpc:
        """What it calls the node with; closed together with it."""
        return self._rpc

    async def close(self) -> None:
        """Close all connections."""
        await self._rpc.close()

    async def network(self) -> Network:
        """See ports.bitcoin.Chain. Raises Unsuitable for a chain we do not know."""
        name = (await self._chain_info()).chain
        try:
            return Network(name)
        except ValueError:
            raise Unsuitable(SERVICE, f"the node follows {name!r}", fault=Fault.COORDINATOR) from None

    async def tip(self) -> Tip:
        """See ports.bitcoin.Chain."""
        info = await self._chain_info()
        headers = None if info.headers is None else Height(info.headers)
        return Tip(Height(info.blocks), info.bestblockhash, UnixTime(info.time), UnixTime(info.mediantime), headers)

    async def _chain_info(self) -> wire.ChainInfo:
        return await self._rpc.call("getblockchaininfo", kind=wire.ChainInfo)

    async def hash_at(self, height: Height) -> str | None:
        """See ports.bitcoin.Chain."""
        try:
            return await self._rpc.call("getblockhash", int(height), kind=str)
        except RpcError as error:
            if error.number == INVALID_PARAMETER:
                return None
            raise

    async def block_at(self, height: Height) -> Block | None:
        """See ports.bitcoin.Chain."""
        for _ in range(TIP_MOVES):
            block_hash = await self.hash_at(height)
            if block_hash is None:
                return None
            header, raw = await asyncio.gather(
                self._rpc.call("getblockheader", block_hash, kind=wire.CoreHeader),
                self._rpc.call("getblock", block_hash, 0, kind=str),
            )
            # Between the two questions the block may have left the best chain.
            if header.confirmations > 0:
                served = Served(SERVICE, raw, block_hash, height, UnixTime(header.mediantime))
                return await checked_block(served, self._network)
        raise wire.unusable(SERVICE, "the chain does not stand still")

    async def transaction_status(self, txid: str) -> TransactionStatus:
        """See ports.bitcoin.Chain."""
        found = await self._lookup(txid)
        if found is None:
            return TransactionStatus(Place.UNKNOWN)
        if found.blockhash is None:
            return TransactionStatus(Place.MEMPOOL)
        # The index also knows blocks that left the best chain: confirmations tell, not the block hash.
        header = await self._rpc.call("getblockheader", found.blockhash, kind=wire.CoreHeader)
        if header.confirmations <= 0:
            return TransactionStatus(Place.UNKNOWN)
        return TransactionStatus(Place.CHAIN, Height(header.height), found.blockhash)

    async def raw_transaction(self, txid: str) -> bytes | None:
        """See ports.bitcoin.Chain."""
        found = await self._lookup(txid)
        return None if found is None else wire.read_hex(SERVICE, found.hex)

    async def _lookup(self, txid: str) -> wire.CoreTransaction | None:
        """None only when neither mempool nor chain held it at the first look: the index runs behind the tip, so it is
        asked again once it has caught up."""
        found = await self._look(txid)
        if found is None:
            await self._require_index()
            found = await self._look(txid)
        return found

    async def _look(self, txid: str) -> wire.CoreTransaction | None:
        try:
            return await self._rpc.call("getrawtransaction", txid, True, kind=wire.CoreTransaction)
        except RpcError as error:
            if error.number == NOT_FOUND:
                return None
            raise

    async def _require_index(self) -> None:
        indexes = await self._rpc.call("getindexinfo", "txindex", kind=dict[str, wire.IndexState])
        state = indexes.get("txindex")
        if state is None:
            raise Unsuitable(SERVICE, "the node keeps no txindex", fault=Fault.COORDINATOR)
        if not state.synced or state.best_block_height < (await self._chain_info()).blocks:
            raise wire.unusable(SERVICE, "the transaction index is behind the chain")

    async def spend_of(self, outpoint: Outpoint) -> Spend | None:
        """See ports.bitcoin.Chain. A spend in the chain that is older than the search is an error, never a None."""
        (spender,) = await self._spenders([outpoint])
        if spender is not None:
            return Spend(spender, await self.transaction_status(spender))
        unspent = await self._rpc.call("gettxout", outpoint.txid, outpoint.vout, False, kind=object)
        if unspent is not None:
            return None
        parent = await self._lookup(outpoint.txid)
        created = await self.transaction_status(outpoint.txid)
        if parent is None or created.height is None or not _is_spendable(parent, outpoint.vout):
            return None
        return await self._search_spend(outpoint, created.height)

    async def _spenders(self, outpoints: Sequence[Outpoint]) -> list[str | None]:
        """Txids in the mempool (or in the node's own index of spends, if it keeps one) that spend them."""
        asked = [{"txid": outpoint.txid, "vout": outpoint.vout} for outpoint in outpoints]
        found = await self._rpc.call("gettxspendingprevout", asked, kind=list[wire.Spending])
        if len(found) != len(asked):
            raise wire.unusable(SERVICE, "gettxspendingprevout left an output out")
        return [item.spendingtxid for item in found]

    async def _search_spend(self, outpoint: Outpoint, created: Height) -> Spend:
        tip = (await self.tip()).height
        oldest = max(created, tip - self._spend_search_blocks + 1)
        for height in range(tip, oldest - 1, -1):
            block = await self.block_at(Height(height))
            for transaction in block.transactions if block is not None else ():
                if block is not None and outpoint in transaction.spends:
                    return Spend(transaction.txid, TransactionStatus(Place.CHAIN, block.height, block.block_hash))
        if oldest > created:
            reason = f"{outpoint} was spent more than {self._spend_search_blocks} blocks ago"
            raise Unsuitable(SERVICE, reason, fault=Fault.COORDINATOR)
        raise wire.unusable(SERVICE, f"the spend of {outpoint} left the chain during the search")

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[Coin, ...]:
        """See ports.bitcoin.Chain. One scan of the UTXO set at a time."""
        if not scripts:
            return ()
        async with self._scan:
            found = await self._scan_for(scripts)
        coins = [_coin(item, found.height) for item in found.unspents if _is_mature(item, found.height)]
        if not coins:
            return ()
        spenders = await self._spenders([coin.outpoint for coin in coins])
        return tuple(coin for coin, spender in zip(coins, spenders, strict=True) if spender is None)

    async def _scan_for(self, scripts: Sequence[bytes]) -> wire.CoreScan:
        wanted = [f"raw({script.hex()})" for script in scripts]
        try:
            found = await self._rpc.call("scantxoutset", "start", wanted, kind=wire.CoreScan, timeout=SCAN_SECONDS)
        except RpcError as error:
            if error.number == INVALID_PARAMETER:
                raise Unreachable(SERVICE, error.message, fault=Fault.NODE, retry_after=SCAN_PAUSE_SECONDS) from error
            raise
        if not found.success:
            raise wire.unusable(SERVICE, "the scan of the UTXO set was aborted")
        return found

    async def broadcast(self, raw: bytes) -> BroadcastResult:
        """See ports.bitcoin.Chain."""
        try:
            await self._rpc.call("sendrawtransaction", raw.hex(), kind=str)
        except RpcError as error:
            return await settle_missing(self, raw, _refusal(error))
        return BroadcastResult(BroadcastVerdict.ACCEPTED)

    async def broadcast_package(self, raws: Sequence[bytes]) -> BroadcastResult:
        """See ports.bitcoin.Chain. Parents that are confirmed already are left out."""
        package = await missing_parents(self, read_package(list(raws)))
        if len(package) == 1:
            return await self.broadcast(raws[-1])
        try:
            found = await self._rpc.call("submitpackage", [t.serialize().hex() for t in package], kind=wire.Package)
        except RpcError as error:
            return _refusal(error)
        return await settle_missing(self, raws[-1], package_verdict(found, package))

    async def fee_rate(self, target_blocks: int) -> FeeRate | None:
        """See ports.bitcoin.Chain."""
        estimate = (await self._rpc.call("estimatesmartfee", target_blocks, kind=wire.SmartFee)).feerate
        return None if estimate is None else wire.rate_of(SERVICE, estimate)

    async def relay_floor(self) -> FeeRate:
        """See ports.bitcoin.Chain."""
        info = await self._mempool_info()
        return max(wire.rate_of(SERVICE, info.mempoolminfee), wire.rate_of(SERVICE, info.minrelaytxfee))

    async def incremental_relay(self) -> FeeRate:
        """See ports.bitcoin.Chain."""
        return wire.rate_of(SERVICE, (await self._mempool_info()).incrementalrelayfee)

    async def _mempool_info(self) -> wire.MempoolInfo:
        return await self._rpc.call("getmempoolinfo", kind=wire.MempoolInfo)


def _is_spendable(parent: wire.CoreTransaction, vout: int) -> bool:
    """Outputs that do not exist or only carry data are missing from the UTXO set without a spend."""
    if vout >= len(parent.vout):
        return False
    return not wire.read_hex(SERVICE, parent.vout[vout].script.hex).startswith(_OP_RETURN)


def _coin(item: wire.CoreCoin, tip: int) -> Coin:
    return Coin(
        outpoint=Outpoint(item.txid, item.vout),
        value=wire.sats_of(SERVICE, item.amount),
        script=wire.read_hex(SERVICE, item.script),
        confirmations=Confirmations(tip - item.height + 1),
    )


def _is_mature(item: wire.CoreCoin, tip: int) -> bool:
    return not item.coinbase or tip - item.height + 1 >= COINBASE_MATURITY


def _refusal(error: RpcError) -> BroadcastResult:
    if error.number not in VERDICT_CODES:
        raise error
    return verdict_of(error.message)
