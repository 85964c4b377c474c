"""Coins without a wallet: coinbases pay the P2WSH of OP_TRUE, which is standard and which showing it spends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from coordinator_core.transaction import SEQUENCE_REPLACEABLE, OutPoint, Transaction, TxIn, TxOut, txid_from_hex
from coordinator_core.units import Sats
from tools.regtest.bitcoind import Bitcoind

COIN = 100_000_000
ADDRESS = "bcrt1qft5p2uhsdcdc3l2ua4ap5qqfg4pjaqlp250x7us7a8qqhrxrxfsqseac85"
OP_TRUE, OP_RETURN, OP_PUSHDATA4 = b"\x51", b"\x6a", b"\x4e"
SCRIPT = b"\x00\x20" + hashlib.sha256(OP_TRUE).digest()
WITNESS = "010151"
"""One item of one byte, OP_TRUE: the script itself."""
OUTPUT_SIZE = 43
SIZE = 95
"""Virtual bytes of a transaction that sends one coin on to the faucet."""
FEE = 10_000
MATURITY = 100


@dataclass(frozen=True, slots=True)
class Coin:
    """An output of the faucet. `spendable_at` is the height of the tip from which a block may spend it."""

    txid: str
    vout: int
    spendable_at: int


class Faucet:
    """Mines to itself and pays from what it mined. Its list is a hint: the node is asked before a coin is spent."""

    def __init__(self, chain: Bitcoind) -> None:
        self._chain = chain
        self._coins: list[Coin] = []

    def mine(self, blocks: int) -> list[str]:
        """Mine with whatever the mempool holds; the hashes."""
        hashes: list[str] = self._chain.call("generatetoaddress", blocks, ADDRESS)
        for block_hash in hashes:
            block = self._chain.call("getblock", block_hash)
            self._coins.append(Coin(block["tx"][0], 0, block["height"] + MATURITY - 1))
        return hashes

    def pay(self, *outputs: tuple[str, int], fee: int = FEE) -> str:
        """Send satoshis to addresses (each at most once) in one transaction; its txid. It waits in the mempool."""
        wanted = sum(value for _, value in outputs) + fee
        coins, value = self._choose(wanted)
        change = value - wanted
        payments = [{address: btc(sats)} for address, sats in outputs] + [{ADDRESS: btc(change)}]
        inputs = [{"txid": coin.txid, "vout": coin.vout} for coin in coins]
        txid = self.send(inputs, payments)
        self._coins.append(Coin(txid, len(outputs), self._chain.height + 1))
        return txid

    def send(self, inputs: list[dict[str, object]], payments: list[dict[str, str]]) -> str:
        """Send a transaction whose inputs are all the faucet's; its txid. Payments are in BTC."""
        bare: str = self._chain.call("createrawtransaction", inputs, payments)
        signed = f"{bare[:8]}0001{bare[8:-8]}{WITNESS * len(inputs)}{bare[-8:]}"
        return str(self._chain.call("sendrawtransaction", signed))

    def send_on(self, number: int, sat_per_vbyte: int) -> None:
        """Send `number` coins on to the faucet itself, each in a transaction of its own, at this rate."""
        chosen = list(islice(self._spendable(), number))
        if len(chosen) < number:
            raise ValueError(
                f"the faucet has {len(chosen)} coins that can be spent now, {number} are wanted: mine more"
            )
        for coin, value in chosen:
            spent = {"txid": coin.txid, "vout": coin.vout}
            txid = self.send([spent], [{ADDRESS: btc(value - SIZE * sat_per_vbyte)}])
            self._coins.remove(coin)
            self._coins.append(Coin(txid, 0, self._chain.height + 1))

    def split(self, number: int, value: int) -> None:
        """Make `number` coins of `value` satoshi each in one transaction. They can be spent after the next block."""
        fee = FEE + number * OUTPUT_SIZE
        coins, total = self._choose(number * value + fee)
        change = TxOut(Sats(total - number * value - fee), SCRIPT)
        txid = self._spend(coins, *[TxOut(Sats(value), SCRIPT)] * number, change)
        height = self._chain.height + 1
        # First in the list: whoever splits wants to spend these.
        self._coins[:0] = [Coin(txid, vout, height) for vout in range(number + 1)]

    def fill(self, size: int, sat_per_vbyte: int) -> None:
        """One transaction of about `size` virtual bytes at this rate, from the first coin."""
        coin, value = next(self._spendable())
        self._coins.remove(coin)
        data = bytes(size - SIZE - OUTPUT_SIZE)
        carrier = OP_RETURN + OP_PUSHDATA4 + len(data).to_bytes(4, "little") + data
        self._spend([coin], TxOut(Sats(0), carrier), TxOut(Sats(value - size * sat_per_vbyte), SCRIPT))

    def _spend(self, coins: list[Coin], *outputs: TxOut) -> str:
        inputs = [TxIn(OutPoint(txid_from_hex(coin.txid), coin.vout), SEQUENCE_REPLACEABLE) for coin in coins]
        transaction = Transaction(tuple(inputs), outputs)
        for index in range(len(coins)):
            transaction = transaction.with_witness(index, (OP_TRUE,))
        return str(self._chain.call("sendrawtransaction", transaction.serialize().hex()))

    def _choose(self, wanted: int) -> tuple[list[Coin], int]:
        chosen, total = list[Coin](), 0
        for coin, value in self._spendable():
            if total >= wanted:
                break
            chosen.append(coin)
            total += value
        if total < wanted:
            raise ValueError(f"the faucet holds {total} sat that can be spent now, {wanted} are wanted: mine more")
        for coin in chosen:
            self._coins.remove(coin)
        return chosen, total

    def _spendable(self) -> Iterator[tuple[Coin, int]]:
        """Confirmed, mature coins with their values in satoshi, oldest first."""
        height = self._chain.height
        for coin in list(self._coins):
            # Not there any more: spent, or gone with a block that left the chain.
            found = self._chain.call("gettxout", coin.txid, coin.vout) if coin.spendable_at <= height else None
            if found is not None and found["confirmations"] > 0:
                yield coin, round(found["value"] * COIN)


def btc(sats: int) -> str:
    """Satoshis as RPC takes amounts."""
    return f"{sats // COIN}.{sats % COIN:08d}"
