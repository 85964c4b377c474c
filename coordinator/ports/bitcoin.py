"""What the coordinator needs of a Bitcoin node and of its own wallet.

Transaction ids and block hashes are hex as people and RPC write them (reversed byte order).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from coordinator_core.units import Confirmations, FeeRate, Height, Sats, UnixTime


class Network(StrEnum):
    """Names as Bitcoin Core's `chain` field gives them."""

    MAINNET = "main"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"


class Outpoint(Struct, frozen=True, order=True):
    """An output of a transaction."""

    txid: str
    vout: int

    def __str__(self) -> str:
        return f"{self.txid}:{self.vout}"


class Tip(Struct, frozen=True):
    """The best block as the node knows it."""

    height: Height
    block_hash: str
    time: UnixTime
    """Time in the block's header."""
    median_time_past: UnixTime
    """What absolute time locks of the next block are compared with (BIP113)."""
    headers: Height | None = None
    """How far the node knows headers; None when it does not tell."""

    @property
    def known(self) -> Height:
        """How far the node knows that the chain goes, whether it has the blocks or still fetches them."""
        return self.height if self.headers is None else max(self.height, self.headers)


class BlockTransaction(Struct, frozen=True):
    """The parts of a transaction that watches look at."""

    txid: str
    spends: tuple[Outpoint, ...]


class Block(Struct, frozen=True):
    """One block as the chain loop reads it."""

    height: Height
    block_hash: str
    previous_hash: str
    time: UnixTime
    median_time_past: UnixTime
    transactions: tuple[BlockTransaction, ...]
    size: int = 0
    """Bytes of the serialized block."""


class Place(StrEnum):
    """Where a transaction is."""

    UNKNOWN = "unknown"
    MEMPOOL = "mempool"
    CHAIN = "chain"


class TransactionStatus(Struct, frozen=True):
    """Where a transaction is now. `height` only when it is in the chain."""

    place: Place
    height: Height | None = None
    block_hash: str | None = None

    def confirmations(self, tip: Height) -> Confirmations:
        """Number of blocks that hold or bury it; 0 outside the chain."""
        if self.place is not Place.CHAIN or self.height is None:
            return Confirmations(0)
        return Confirmations(max(0, tip - self.height + 1))


class Spend(Struct, frozen=True):
    """The transaction that spends an outpoint, in mempool or chain."""

    txid: str
    status: TransactionStatus


class BroadcastVerdict(StrEnum):
    """What the node said about a transaction we sent."""

    ACCEPTED = "accepted"
    ALREADY_KNOWN = "already_known"
    FEE_TOO_LOW = "fee_too_low"
    NOT_FINAL = "not_final"
    CONFLICT = "conflict"
    MISSING_INPUTS = "missing_inputs"
    INVALID = "invalid"


class BroadcastResult(Struct, frozen=True):
    """A verdict and the node's own words."""

    verdict: BroadcastVerdict
    reason: str = ""

    @property
    def in_node(self) -> bool:
        """True when the node now holds the transaction in mempool or chain."""
        return self.verdict in (BroadcastVerdict.ACCEPTED, BroadcastVerdict.ALREADY_KNOWN)


class Coin(Struct, frozen=True):
    """An unspent output, at least one block deep."""

    outpoint: Outpoint
    value: Sats
    script: bytes
    confirmations: Confirmations


class Chain(Protocol):
    """A Bitcoin node. Every call is finite; raises faults.Unreachable, faults.Rejected or faults.Unsuitable."""

    async def network(self) -> Network:
        """The chain the node follows."""
        ...

    async def tip(self) -> Tip:
        """The best block."""
        ...

    async def hash_at(self, height: Height) -> str | None:
        """Hash of the best chain's block at `height`; None above the tip."""
        ...

    async def block_at(self, height: Height) -> Block | None:
        """The block of the best chain at `height`; None above the tip. Raises faults.Garbled for an answer that is not
        the block of its hash: merkle root, witness commitment and proof of work are checked.
        """
        ...

    async def transaction_status(self, txid: str) -> TransactionStatus:
        """Where a transaction is, if it pays or spends what the node indexes (with a full index: always)."""
        ...

    async def raw_transaction(self, txid: str) -> bytes | None:
        """The serialized transaction, or None when the node does not know it."""
        ...

    async def spend_of(self, outpoint: Outpoint) -> Spend | None:
        """Who spends an outpoint; None while nobody does, never because the search ended."""
        ...

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[Coin, ...]:
        """Confirmed outputs that pay one of `scripts` and that nothing spends, in chain or mempool; no immature
        coinbase. A coin of ours must not hang on a parent that may vanish."""
        ...

    async def broadcast(self, raw: bytes) -> BroadcastResult:
        """Hand a transaction to the node. A refusal is a value, not an error."""
        ...

    async def broadcast_package(self, raws: Sequence[bytes]) -> BroadcastResult:
        """Hand parents and one child over together (submitpackage): the verdict on the child."""
        ...

    async def fee_rate(self, target_blocks: int) -> FeeRate | None:
        """Estimated sat/kWU to confirm within `target_blocks`; None when the node has no estimate."""
        ...

    async def relay_floor(self) -> FeeRate:
        """The least sat/kWU the node takes into its mempool now."""
        ...

    async def incremental_relay(self) -> FeeRate:
        """What a replacement pays on top of the fees it pushes out, in sat/kWU of its own size (BIP125 rule 4)."""
        ...


class Output(Struct, frozen=True):
    """An output to be made."""

    script: bytes
    value: Sats


class FundingPlan(Struct, frozen=True):
    """A funding transaction, coins chosen and reserved, not yet signed. Its txid is final: all inputs are segwit."""

    unsigned: bytes
    txid: str
    coins: tuple[Coin, ...]
    output_index: int
    change_index: int
    change_value: Sats
    fee: Sats

    @property
    def change(self) -> Outpoint:
        """The change output, kept for the funding's own fee bump."""
        return Outpoint(self.txid, self.change_index)


class Holdings(Struct, frozen=True):
    """Sums over confirmed coins of the wallet that nothing spends, in chain or mempool."""

    total: Sats
    reserved: Sats


class Wallet(Protocol):
    """The coordinator's own on-chain coins. Addresses and reservations are durable before they are used."""

    async def balance(self) -> Sats:
        """Confirmed coins that nobody reserved, in satoshi."""
        ...

    async def total(self) -> Sats:
        """All confirmed coins, reserved ones included, in satoshi."""
        ...

    async def holdings(self) -> Holdings:
        """All confirmed coins and those of them that are reserved, of one look at the chain."""
        ...

    async def plan_funding(
        self,
        lane: str,
        purpose: str,
        output: Output,
        fee_rate: FeeRate,
        *,
        must_spend_one_of: Sequence[Sequence[Outpoint]] = (),
    ) -> FundingPlan:
        """Choose and reserve coins for one output and a change output of at least 20,000 sat, kept for its bump.

        The same lane and purpose get the same plan back. `must_spend_one_of`: for each group at least one of its
        outpoints is spent, so that two contracts with the same tickets can never both confirm.
        Raises faults.Rejected("wallet", ...) when the coins do not suffice, or the purpose was released.
        """
        ...

    async def sign(self, plan: FundingPlan) -> bytes:
        """The fully signed transaction of a plan; its txid is the plan's."""
        ...

    async def take_back(self, plan: FundingPlan, lane: str, fee_rate: FeeRate) -> bytes:
        """A signed transaction that spends the first coin of a plan back to ourselves, so that the plan can never
        confirm once this does. Raises faults.Rejected("wallet", ...) when the fee would eat the coin.
        """
        ...

    async def fee_coins(self, lane: str, purpose: str, at_least: Sats) -> tuple[Coin, ...]:
        """Coins reserved for a fee bump: those that this lane and purpose already have, and more until they hold
        `at_least` together, or less when the wallet has no more. What was once reserved stays so until `release`.
        """
        ...

    async def spend_to_us(self, lane: str, purpose: str, coins: Sequence[Coin], fee: Sats) -> bytes:
        """A signed, replaceable transaction of these coins to the one address of this lane and purpose. Coins may be
        unconfirmed outputs of ours, and anchors. Raises faults.Rejected("wallet", ...) for a coin that is not ours, or
        when the fee would leave dust.
        """
        ...

    async def script_for(self, lane: str, purpose: str) -> bytes:
        """A fresh scriptPubKey of ours; the same lane and purpose get the same one back."""
        ...

    async def release(self, lane: str, purpose: str) -> None:
        """Give the reservation of a plan or of fee coins back. The lane and purpose get no plan any more, even if one
        was being made meanwhile.
        """
        ...
