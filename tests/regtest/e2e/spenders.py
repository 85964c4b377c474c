"""Who spends an output: bitcoind answers that for its mempool; for blocks they are read once each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock

from coordinator_core.transaction import OutPoint
from tools.regtest import Bitcoind


@dataclass(slots=True)
class _Block:
    hash: str
    spends: dict[tuple[str, int], str] = field(default_factory=dict[tuple[str, int], str])


class Spenders:
    """Knows the blocks after the one that was the tip when it was made; those that left the chain are forgotten."""

    def __init__(self, chain: Bitcoind) -> None:
        self._chain = chain
        self._first = chain.height + 1
        self._blocks: list[_Block] = []
        self._lock = Lock()

    def of(self, outpoint: OutPoint) -> str | None:
        """The txid in chain or mempool that spends an output, None for an unspent one."""
        txid = outpoint.txid[::-1].hex()
        with self._lock:
            self._catch_up()
            for block in reversed(self._blocks):
                if (spender := block.spends.get((txid, outpoint.vout))) is not None:
                    return spender
        [found] = self._chain.call("gettxspendingprevout", [{"txid": txid, "vout": outpoint.vout}])
        return found.get("spendingtxid")

    def _catch_up(self) -> None:
        tip = self._chain.height
        del self._blocks[max(0, tip + 1 - self._first) :]
        while self._blocks and self._hash_at(len(self._blocks) - 1) != self._blocks[-1].hash:
            self._blocks.pop()
        for number in range(len(self._blocks), tip + 1 - self._first):
            self._blocks.append(self._read(self._hash_at(number)))

    def _hash_at(self, number: int) -> str:
        return str(self._chain.call("getblockhash", self._first + number))

    def _read(self, block_hash: str) -> _Block:
        block = self._chain.call("getblock", block_hash, 2)
        return _Block(block_hash, dict(_spends(block["tx"])))


def _spends(transactions: list[dict[str, object]]) -> Iterator[tuple[tuple[str, int], str]]:
    for transaction in transactions:
        for spent in transaction["vin"]:  # type: ignore[attr-defined]
            if "txid" in spent:
                yield (spent["txid"], spent["vout"]), str(transaction["txid"])
