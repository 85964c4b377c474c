"""An Esplora server behind ports.bitcoin.Chain. Blocks and transactions are checked against their hashes."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from decimal import Decimal
from math import ceil
from typing import Final, TypeVar

import httpx
import msgspec

from coordinator.adapters.bitcoin import wire
from coordinator.adapters.bitcoin.raw_block import Served, checked_block
from coordinator.adapters.bitcoin.verdicts import (
    VERDICT_CODES,
    missing_parents,
    package_verdict,
    read_package,
    settle_missing,
    txid_of,
    verdict_of,
)
from coordinator.adapters.http import HttpClient, Reply, RequestBudget
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
from coordinator.ports.faults import Rejected, Unsuitable
from coordinator_core.errors import CoreError, Fault
from coordinator_core.secp256k1 import sha256
from coordinator_core.units import Confirmations, FeeRate, Height, Sats, UnixTime

T = TypeVar("T")

SERVICE: Final = "esplora"
REQUESTS_PER_SECOND: Final = 20.0
REQUEST_BURST: Final = 60
PARALLEL: Final = 8
COINBASE_MATURITY: Final = 100
DEFAULT_RELAY_FLOOR: Final = FeeRate(250)
"""1 sat/vB: Esplora does not tell its node's floor, and nodes before Core 29.1 take no less."""
INCREMENTAL_RELAY: Final = FeeRate(250)
"""1 sat/vB: what nodes before Core 29.1 ask for a replacement."""
MAX_SAT_PER_VBYTE: Final = 1_000_000
_GENESIS: Final = {
    "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f": Network.MAINNET,
    "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043": Network.TESTNET4,
    "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6": Network.SIGNET,
    "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206": Network.REGTEST,
}
_MISSING: Final = frozenset({"block not found", "transaction not found"})
_RPC_CODE: Final = re.compile(r'(?:RPC error |"code": ?)(-?[0-9]{1,5})')


class EsploraNode:
    """See ports.bitcoin.Chain."""

    def __init__(
        self,
        url: str,
        *,
        network: Network,
        relay_floor: FeeRate = DEFAULT_RELAY_FLOOR,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`network`: whose least work every block must show. `relay_floor` is what the server's node takes; Esplora has
        no call that tells it.
        """
        self._network = network
        self._relay_floor = relay_floor
        self._http = HttpClient(
            SERVICE,
            url,
            fault=Fault.NODE,
            budget=RequestBudget(REQUESTS_PER_SECOND, REQUEST_BURST),
            max_connections=PARALLEL,
            transport=transport,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def network(self) -> Network:
        """See ports.bitcoin.Chain: told by the genesis block. Raises Unsuitable for a chain we do not know."""
        genesis = await self._text("/block-height/0")
        found = _GENESIS.get(genesis or "")
        if found is None:
            raise Unsuitable(SERVICE, "the server follows a chain we do not know", fault=Fault.COORDINATOR)
        return found

    async def tip(self) -> Tip:
        """See ports.bitcoin.Chain."""
        block = await self._get(f"/block/{await self._text('/blocks/tip/hash')}", wire.EsploraBlock)
        if block is None:
            raise wire.unusable(SERVICE, "the tip moved during the question")
        return Tip(Height(block.height), block.id, UnixTime(block.timestamp), UnixTime(block.mediantime))

    async def hash_at(self, height: Height) -> str | None:
        """See ports.bitcoin.Chain."""
        return await self._text(f"/block-height/{int(height)}")

    async def block_at(self, height: Height) -> Block | None:
        """See ports.bitcoin.Chain."""
        block_hash = await self.hash_at(height)
        if block_hash is None:
            return None
        head, raw = await asyncio.gather(
            self._get(f"/block/{block_hash}", wire.EsploraBlock), self._read(f"/block/{block_hash}/raw")
        )
        if head is None or raw is None or head.height != height or head.id != block_hash:
            raise wire.unusable(SERVICE, "a block that the server named is not there")
        served = Served(SERVICE, raw.body, block_hash, height, UnixTime(head.mediantime))
        return await checked_block(served, self._network)

    async def transaction_status(self, txid: str) -> TransactionStatus:
        """See ports.bitcoin.Chain."""
        # /tx/:txid/status calls a transaction that nobody knows unconfirmed; only /tx/:txid tells them apart.
        found = await self._get(f"/tx/{txid}", wire.EsploraTransaction)
        return TransactionStatus(Place.UNKNOWN) if found is None else _status(found.status)

    async def raw_transaction(self, txid: str) -> bytes | None:
        """See ports.bitcoin.Chain."""
        reply = await self._read(f"/tx/{txid}/raw")
        if reply is None:
            return None
        try:
            is_other = txid_of(reply.body) != txid
        except CoreError as error:
            raise wire.unusable(SERVICE, str(error)) from error
        if is_other:
            raise wire.unusable(SERVICE, "the answer is another transaction")
        return reply.body

    async def spend_of(self, outpoint: Outpoint) -> Spend | None:
        """See ports.bitcoin.Chain."""
        found = await self._get(f"/tx/{outpoint.txid}/outspend/{outpoint.vout}", wire.EsploraSpend)
        if found is None or not found.spent:
            return None
        if found.txid is None or found.status is None:
            raise wire.unusable(SERVICE, "a spend without its transaction")
        return Spend(found.txid, _status(found.status))

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[Coin, ...]:
        """See ports.bitcoin.Chain."""
        if not scripts:
            return ()
        tip = (await self.tip()).height
        turns = asyncio.Semaphore(PARALLEL)

        async def one(script: bytes) -> list[Coin]:
            async with turns:
                return await self._coins(script, tip)

        found = await asyncio.gather(*(one(script) for script in dict.fromkeys(scripts)))
        return tuple(coin for coins in found for coin in coins)

    async def _coins(self, script: bytes, tip: Height) -> list[Coin]:
        path = f"/scripthash/{sha256(script).hex()}/utxo"
        found = await self._get(path, list[wire.EsploraCoin])
        coins = [_coin(item, script, tip) for item in found or () if item.status.block_height is not None]
        return [coin for coin in coins if await self._is_mature(coin)]

    async def _is_mature(self, coin: Coin) -> bool:
        if coin.confirmations >= COINBASE_MATURITY:
            return True
        parent = await self._get(f"/tx/{coin.outpoint.txid}", wire.EsploraTransaction)
        return parent is not None and not any(spent.is_coinbase for spent in parent.vin)

    async def broadcast(self, raw: bytes) -> BroadcastResult:
        """See ports.bitcoin.Chain."""
        reply = await self._http.post("/tx", content=raw.hex().encode(), headers={"Content-Type": "text/plain"})
        if reply.ok:
            return BroadcastResult(BroadcastVerdict.ACCEPTED)
        return await settle_missing(self, raw, _refusal(reply))

    async def broadcast_package(self, raws: Sequence[bytes]) -> BroadcastResult:
        """See ports.bitcoin.Chain. Parents that are confirmed already are left out."""
        package = await missing_parents(self, read_package(list(raws)))
        if len(package) == 1:
            return await self.broadcast(raws[-1])
        reply = await self._http.post("/txs/package", json=[t.serialize().hex() for t in package])
        result = package_verdict(reply.decode(wire.Package), package) if reply.ok else _refusal(reply)
        return await settle_missing(self, raws[-1], result)

    async def fee_rate(self, target_blocks: int) -> FeeRate | None:
        """See ports.bitcoin.Chain. The estimate of the largest target that is not later than asked."""
        found = await self._get("/fee-estimates", dict[str, Decimal])
        known = {int(t): rate for t, rate in (found or {}).items() if _is_estimate(t, rate)}
        if not known:
            return None
        soon = [target for target in known if target <= target_blocks]
        per_vbyte = known[max(soon) if soon else min(known)]
        return FeeRate(ceil(per_vbyte * 250))

    async def relay_floor(self) -> FeeRate:
        """See ports.bitcoin.Chain: as configured."""
        return self._relay_floor

    async def incremental_relay(self) -> FeeRate:
        """See ports.bitcoin.Chain. Esplora does not tell it: what the most careful nodes ask."""
        return INCREMENTAL_RELAY

    async def _get(self, path: str, kind: type[T]) -> T | None:
        reply = await self._read(path)
        return None if reply is None else reply.decode(kind)

    async def _text(self, path: str) -> str | None:
        reply = await self._read(path)
        if reply is None:
            return None
        text = reply.body.decode("ascii", "replace").strip()
        if not re.fullmatch("[0-9a-f]{64}", text):
            raise wire.unusable(SERVICE, "the answer is no hash")
        return text

    async def _read(self, path: str) -> Reply | None:
        """None when the server itself says that it is not there; a 404 of anybody else says nothing."""
        reply = await self._http.get_with_retries(path)
        if reply.ok:
            return reply
        words = reply.body[:200].decode("utf-8", "replace").strip()
        if reply.status == 404 and words.lower() in _MISSING:
            return None
        if reply.status == 400:
            raise Rejected(SERVICE, words or "bad request", fault=Fault.COORDINATOR, remote_code="400")
        raise wire.unusable(SERVICE, f"answered {reply.status}: {words}")


def _is_estimate(target: str, per_vbyte: Decimal) -> bool:
    return target.isascii() and target.isdigit() and len(target) < 6 and 0 < per_vbyte <= MAX_SAT_PER_VBYTE


def _status(status: wire.EsploraStatus) -> TransactionStatus:
    if not status.confirmed:
        return TransactionStatus(Place.MEMPOOL)
    if status.block_height is None or status.block_hash is None:
        raise wire.unusable(SERVICE, "confirmed, but in no block")
    return TransactionStatus(Place.CHAIN, Height(status.block_height), status.block_hash)


def _coin(item: wire.EsploraCoin, script: bytes, tip: Height) -> Coin:
    # A block may have come since the tip was asked for: at least one confirmation it has.
    depth = max(1, tip - (item.status.block_height or 0) + 1)
    return Coin(Outpoint(item.txid, item.vout), Sats(item.value), script, Confirmations(depth))


def _refusal(reply: Reply) -> BroadcastResult:
    """The verdict in a 400 that hands on what the node said. Raises for everything else."""
    if reply.is_later:
        raise reply.later()
    words = reply.body.decode("utf-8", "replace").strip()
    code = _RPC_CODE.search(words)
    if reply.status != 400 or code is None:
        raise wire.unusable(SERVICE, f"answered {reply.status}: {words[:200]}")
    if int(code[1]) not in VERDICT_CODES:
        raise Rejected(SERVICE, words[:200], fault=Fault.NODE, remote_code=code[1])
    return verdict_of(_message(words))


def _message(words: str) -> str:
    """The node's own message, if it came as JSON."""
    _, brace, rest = words.partition("{")
    try:
        return msgspec.json.decode(brace + rest, type=wire.NodeWords).message
    except msgspec.DecodeError:
        return words
