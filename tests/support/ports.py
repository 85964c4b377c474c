"""Small in-process services that keep the contract of their port: a chain of blocks, a ledger of invoices and payments,
an oracle's book of events. They hold data and answer from it; nothing is scripted call by call."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

from coordinator.ports import bitcoin as bc
from coordinator.ports import lightning as ln
from coordinator.ports.faults import Rejected, Unreachable
from coordinator_core.errors import Fault, Misuse
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.secret import Secret
from coordinator_core.units import Blocks, Confirmations, FeeRate, Height, Sats, Seconds, UnixTime

GENESIS_TIME = 1_700_000_000
BLOCK_SECONDS = 600


def transaction(txid: str, *spends: str) -> bc.BlockTransaction:
    outpoints = (spend.partition(":") for spend in spends)
    return bc.BlockTransaction(txid, tuple(bc.Outpoint(t, int(v)) for t, _, v in outpoints))


@dataclass
class Clock:
    """A wall clock that stands until it is moved."""

    seconds: int = GENESIS_TIME

    def now(self) -> UnixTime:
        return UnixTime(self.seconds)

    def precise(self) -> float:
        return float(self.seconds)


@dataclass
class DataChain:
    """The best chain as a list of blocks from height 100 on, and what waits in the mempool by raw bytes."""

    blocks: list[bc.Block] = field(default_factory=list[bc.Block])
    mempool: dict[str, bytes] = field(default_factory=dict[str, bytes])
    verdicts: dict[str, bc.BroadcastResult] = field(default_factory=dict[str, bc.BroadcastResult])
    away: bool = False
    received: list[bytes] = field(default_factory=list[bytes])
    packages: list[list[bytes]] = field(default_factory=list[list[bytes]])
    base: int = 100
    headers: Height | None = None
    floor: FeeRate = field(default_factory=lambda: FeeRate(250))
    estimates: dict[int, FeeRate | None] = field(default_factory=dict[int, FeeRate | None])

    def __post_init__(self) -> None:
        if not self.blocks:
            self.mine()

    def mine(self, *transactions: bc.BlockTransaction, branch: str = "a") -> bc.Block:
        height = self.base + len(self.blocks)
        previous = self.blocks[-1].block_hash if self.blocks else "0" * 64
        name = hashlib.sha256(f"{branch}{previous}{[t.txid for t in transactions]}".encode()).hexdigest()
        time = UnixTime(GENESIS_TIME + height * BLOCK_SECONDS)
        block = bc.Block(Height(height), name, previous, time, UnixTime(time - 3_600), transactions)
        self.blocks.append(block)
        return block

    def drop(self, count: int = 1) -> list[bc.Block]:
        """Take blocks off the best chain."""
        gone = self.blocks[-count:]
        del self.blocks[-count:]
        return gone

    def _answer(self) -> None:
        if self.away:
            raise Unreachable("node", "no answer", fault=Fault.NODE)

    async def network(self) -> bc.Network:
        return bc.Network.REGTEST

    async def tip(self) -> bc.Tip:
        self._answer()
        last = self.blocks[-1]
        return bc.Tip(last.height, last.block_hash, last.time, last.median_time_past, self.headers)

    async def hash_at(self, height: Height) -> str | None:
        block = await self.block_at(height)
        return None if block is None else block.block_hash

    async def block_at(self, height: Height) -> bc.Block | None:
        self._answer()
        index = height - self.base
        return self.blocks[index] if 0 <= index < len(self.blocks) else None

    async def transaction_status(self, txid: str) -> bc.TransactionStatus:
        self._answer()
        for block in self.blocks:
            if any(found.txid == txid for found in block.transactions):
                return bc.TransactionStatus(bc.Place.CHAIN, block.height, block.block_hash)
        return bc.TransactionStatus(bc.Place.MEMPOOL if txid in self.mempool else bc.Place.UNKNOWN)

    async def raw_transaction(self, txid: str) -> bytes | None:
        return self.mempool.get(txid)

    async def spend_of(self, outpoint: bc.Outpoint) -> bc.Spend | None:
        self._answer()
        for block in self.blocks:
            for found in block.transactions:
                if outpoint in found.spends:
                    return bc.Spend(found.txid, bc.TransactionStatus(bc.Place.CHAIN, block.height, block.block_hash))
        return None

    async def coins_of(self, scripts: Sequence[bytes]) -> tuple[bc.Coin, ...]:
        return ()

    async def broadcast(self, raw: bytes) -> bc.BroadcastResult:
        self._answer()
        txid = txid_of(raw)
        refused = self.verdicts.get(txid)
        if refused is not None:
            return refused
        known = txid in self.mempool
        self.received.append(raw)
        self.mempool[txid] = raw
        verdict = bc.BroadcastVerdict.ALREADY_KNOWN if known else bc.BroadcastVerdict.ACCEPTED
        return bc.BroadcastResult(verdict)

    async def broadcast_package(self, raws: Sequence[bytes]) -> bc.BroadcastResult:
        self.packages.append(list(raws))
        results = [await self.broadcast(raw) for raw in raws]
        return results[-1]

    async def fee_rate(self, target_blocks: int) -> FeeRate | None:
        return self.estimates.get(target_blocks, FeeRate(500))

    async def relay_floor(self) -> FeeRate:
        return self.floor

    async def incremental_relay(self) -> FeeRate:
        return FeeRate(250)


def txid_of(raw: bytes) -> str:
    from coordinator_core.transaction import Transaction

    return Transaction.parse(raw).txid[::-1].hex()


@dataclass
class LedgerLightning:
    """Hold invoices and payments of one node. Who pays and how a payment goes is set from outside as data."""

    height: int = 100
    invoices: dict[str, ln.HoldInvoice] = field(default_factory=dict[str, ln.HoldInvoice])
    payments: dict[str, ln.Payment] = field(default_factory=dict[str, ln.Payment])
    fate: dict[str, ln.Payment] = field(default_factory=dict[str, ln.Payment])
    sent: list[tuple[str, Sats, Blocks]] = field(default_factory=list[tuple[str, Sats, Blocks]])
    outbound: int = 10_000_000
    remembers: bool = True
    settled: list[str] = field(default_factory=list[str])
    calls: list[str] = field(default_factory=list[str])
    outgoing: list[ln.OutgoingPayment] = field(default_factory=list[ln.OutgoingPayment])
    """The node's list of payments, newest first."""
    strangers: list[ln.ListedInvoice] = field(default_factory=list[ln.ListedInvoice])
    """Invoices of the node that are not in `invoices`."""

    def hold(self, payment_hash: str, expiry_height: int) -> None:
        """A player pays: the hold stands until a height."""
        self._put(payment_hash, ln.InvoiceState.ACCEPTED, expiry_height)

    def give_up(self, payment_hash: str) -> None:
        """The node cancels by itself."""
        self._put(payment_hash, ln.InvoiceState.CANCELED, None)

    def _put(self, payment_hash: str, state: ln.InvoiceState, expiry: int | None) -> ln.HoldInvoice:
        old = self.invoices[payment_hash]
        height = None if expiry is None else Height(expiry)
        made = ln.HoldInvoice(payment_hash, old.payment_request, state, old.value, old.expires_at, height)
        self.invoices[payment_hash] = made
        return made

    async def info(self) -> ln.NodeInfo:
        return ln.NodeInfo("0.21", "regtest", Height(self.height), True, "02" * 33, Blocks(18))

    async def liquidity(self) -> ln.Liquidity:
        return ln.Liquidity(Sats(self.outbound), Sats(0))

    async def add_hold_invoice(
        self, payment_hash: str, value: Sats, *, description_hash: bytes, expiry: Seconds, cltv_expiry: Blocks
    ) -> ln.HoldInvoice:
        self.calls.append("add_hold_invoice")
        if payment_hash not in self.invoices:
            self.invoices[payment_hash] = ln.HoldInvoice(
                payment_hash,
                f"lnbcrt-{value}-{cltv_expiry}-{description_hash.hex()[:8]}",
                ln.InvoiceState.OPEN,
                value,
                UnixTime(GENESIS_TIME + expiry),
            )
        if self.invoices[payment_hash].value != value:
            raise Rejected("lightning", "the hash has an invoice over something else", fault=Fault.COORDINATOR)
        return self.invoices[payment_hash]

    async def invoice(self, payment_hash: str) -> ln.HoldInvoice | None:
        return self.invoices.get(payment_hash)

    async def invoice_updates(self, payment_hash: str) -> AsyncGenerator[ln.InvoiceState]:
        yield self.invoices[payment_hash].state

    async def settle(self, preimage: Secret) -> ln.HoldInvoice:
        payment_hash = hashlib.sha256(preimage.reveal()).hexdigest()
        self.calls.append("settle")
        if self.invoices[payment_hash].state is ln.InvoiceState.ACCEPTED:
            self.settled.append(payment_hash)
            return self._put(payment_hash, ln.InvoiceState.SETTLED, None)
        return self.invoices[payment_hash]

    async def cancel(self, payment_hash: str) -> ln.HoldInvoice:
        self.calls.append("cancel")
        if self.invoices[payment_hash].state is ln.InvoiceState.SETTLED:
            return self.invoices[payment_hash]
        return self._put(payment_hash, ln.InvoiceState.CANCELED, None)

    async def pay(self, payment_request: str, *, fee_limit: Sats, timeout: Seconds, cltv_limit: Blocks) -> ln.Payment:
        payment = self.fate[payment_request]
        known = self.payments.get(payment.payment_hash)
        if known is not None and known.state in (ln.PaymentState.SUCCEEDED, ln.PaymentState.IN_FLIGHT):
            raise Rejected("lightning", "payment is in flight or paid", fault=Fault.COORDINATOR)
        self.sent.append((payment_request, fee_limit, cltv_limit))
        self.payments[payment.payment_hash] = payment
        return payment

    async def payment(self, payment_hash: str) -> ln.Payment:
        return self.payments.get(payment_hash, ln.Payment(payment_hash, ln.PaymentState.NEVER_SENT))

    async def history_reaches(self, payment_hash: str) -> bool:
        return self.remembers and payment_hash in self.payments

    async def listed_payments(self, since: UnixTime) -> tuple[ln.OutgoingPayment, ...]:
        return tuple(line for line in self.outgoing if line.created_at >= since)

    async def listed_invoices(self, since: UnixTime) -> tuple[ln.ListedInvoice, ...]:
        made = tuple(
            ln.ListedInvoice(i.payment_hash, i.state, i.value, "", UnixTime(GENESIS_TIME))
            for i in self.invoices.values()
        )
        return tuple(line for line in (*self.strangers, *made) if line.created_at >= since)


@dataclass
class MemorySecrets:
    """Write once, read by name; keys derived from the name."""

    held: dict[tuple[str, str], bytes] = field(default_factory=dict[tuple[str, str], bytes])

    async def put(self, lane: str, name: str, value: Secret) -> None:
        if self.held.setdefault((lane, name), value.reveal()) != value.reveal():
            raise Misuse(f"secret {name} is written already")

    def seal(self, lane: str, name: str, value: Secret) -> bytes:
        return value.reveal()

    async def get(self, lane: str, name: str) -> Secret | None:
        found = self.held.get((lane, name))
        return None if found is None else Secret(found)

    def market_maker_key(self, lane: str) -> SecretKey:
        return SecretKey.from_bytes(hashlib.sha256(f"market maker {lane}".encode()).digest())

    def signing_key(self, purpose: str) -> SecretKey:
        return SecretKey.from_bytes(hashlib.sha256(f"signing {purpose}".encode()).digest())


def confirmations(chain: DataChain, height: int) -> Confirmations:
    return Confirmations(chain.blocks[-1].height - height + 1)
