"""Answers of Core's RPC and of Esplora, as far as they are read. Core's amounts are BTC, Esplora's satoshi."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from msgspec import Meta, Struct, field

from coordinator.ports.faults import Unreachable
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.transaction import bytes_from_hex
from coordinator_core.units import FeeRate, Sats

Hash = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
"""A txid or block hash as RPC and Esplora write it."""
Count = Annotated[int, Meta(ge=0)]
MAX_BITCOINS = 21_000_000


class ChainInfo(Struct):
    """getblockchaininfo."""

    chain: str
    blocks: Count
    bestblockhash: Hash
    time: Count
    mediantime: Count
    headers: Count | None = None


class CoreHeader(Struct):
    """getblockheader. `confirmations` is -1 off the best chain."""

    height: Count
    confirmations: int
    mediantime: Count = 0


class CoreScript(Struct):
    """A scriptPubKey."""

    hex: str


class CoreInput(Struct):
    """An input; a coinbase names no transaction."""

    txid: Hash | None = None
    vout: Count = 0


class CoreOutput(Struct):
    """An output."""

    script: CoreScript = field(name="scriptPubKey")


class CoreTransaction(Struct):
    """A decoded transaction, of a block or of getrawtransaction."""

    txid: Hash
    vin: list[CoreInput]
    vout: list[CoreOutput]
    hex: str = ""
    blockhash: Hash | None = None


class Spending(Struct):
    """An item of gettxspendingprevout."""

    spendingtxid: Hash | None = None


class CoreCoin(Struct):
    """An unspent output of scantxoutset."""

    txid: Hash
    vout: Count
    script: str = field(name="scriptPubKey")
    amount: Decimal
    height: Count
    coinbase: bool = False


class CoreScan(Struct):
    """scantxoutset."""

    success: bool
    height: Count = 0
    unspents: list[CoreCoin] = []


class PackageResult(Struct):
    """What submitpackage says of one transaction."""

    error: str = ""


class Package(Struct):
    """submitpackage; results by wtxid."""

    package_msg: str
    results: dict[str, PackageResult] = field(name="tx-results", default_factory=dict[str, PackageResult])


class SmartFee(Struct):
    """estimatesmartfee; no `feerate` without data."""

    feerate: Decimal | None = None


class MempoolInfo(Struct):
    """getmempoolinfo."""

    mempoolminfee: Decimal
    minrelaytxfee: Decimal
    incrementalrelayfee: Decimal


class IndexState(Struct):
    """An entry of getindexinfo."""

    synced: bool
    best_block_height: int


class NodeWords(Struct):
    """The JSON inside of Esplora's text when the node refused a transaction."""

    message: str


class EsploraBlock(Struct):
    """GET /block/:hash."""

    id: Hash
    height: Count
    timestamp: Count
    mediantime: Count


class EsploraStatus(Struct):
    """Whether and where a transaction is confirmed."""

    confirmed: bool
    block_height: Count | None = None
    block_hash: Hash | None = None


class EsploraInput(Struct):
    """An input."""

    is_coinbase: bool = False


class EsploraTransaction(Struct):
    """GET /tx/:txid."""

    txid: Hash
    status: EsploraStatus
    vin: list[EsploraInput]


class EsploraSpend(Struct):
    """GET /tx/:txid/outspend/:vout."""

    spent: bool
    txid: Hash | None = None
    status: EsploraStatus | None = None


class EsploraCoin(Struct):
    """An item of GET /scripthash/:hash/utxo."""

    txid: Hash
    vout: Count
    value: Count
    status: EsploraStatus


def unusable(service: str, reason: str) -> Unreachable:
    """The error of an answer that contradicts itself or cannot be read: nothing is known."""
    return Unreachable(service, reason, fault=Fault.NODE)


def read_hex(service: str, text: str) -> bytes:
    """Bytes of an answer. Raises Unreachable."""
    try:
        return bytes_from_hex(text, None, "answer")
    except InvalidInput as error:
        raise unusable(service, "the answer holds text that is not hex") from error


def sats_of(service: str, bitcoins: Decimal) -> Sats:
    """Exact satoshi of an amount in BTC. Raises Unreachable for an amount that cannot exist."""
    # Range first: arithmetic with a hostile exponent raises errors of its own.
    if not bitcoins.is_finite() or not 0 <= bitcoins <= MAX_BITCOINS:
        raise unusable(service, "an amount out of range")
    value = bitcoins.scaleb(8)
    if value != value.to_integral_value():
        raise unusable(service, "an amount with a fraction of a satoshi")
    return Sats(int(value))


def rate_of(service: str, bitcoins_per_kvb: Decimal) -> FeeRate:
    """BTC per 1,000 virtual bytes to satoshi per 1,000 weight units, rounded up."""
    return FeeRate(-(-sats_of(service, bitcoins_per_kvb) // 4))
