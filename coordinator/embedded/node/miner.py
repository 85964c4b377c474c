"""What goes into the next block: packages of ancestors, best paying first, down to the block floor."""

from __future__ import annotations

import heapq
from fractions import Fraction
from typing import Final

from coordinator.embedded.node.codec import Transaction
from coordinator.embedded.node.consensus import MAX_BLOCK_WEIGHT, ChainView, is_final
from coordinator.embedded.node.mempool import Mempool

RESERVED_WEIGHT: Final = 8_000
"""Kept free for header and coinbase."""


def select(mempool: Mempool, chain: ChainView, floor_sat_per_kvb: int) -> list[Transaction]:
    """Transactions for the next block, parents first.

    A transaction enters together with all its unconfirmed ancestors that are not yet chosen, if these together pay
    at least the floor: below it a transaction stays unmined until a child pays for it.
    """
    return _Selection(mempool, chain, floor_sat_per_kvb).run()


class _Selection:
    def __init__(self, mempool: Mempool, chain: ChainView, floor: int) -> None:
        self._mempool = mempool
        self._chain = chain
        self._floor = floor
        self._chosen: dict[bytes, Transaction] = {}
        self._room = MAX_BLOCK_WEIGHT - RESERVED_WEIGHT
        self._place = {entry.txid: number for number, entry in enumerate(mempool)}
        self._queue: list[tuple[Fraction, int, bytes]] = []

    def run(self) -> list[Transaction]:
        for txid in self._place:
            self._enqueue(txid)
        while self._queue:
            rate, _, txid = heapq.heappop(self._queue)
            if txid in self._chosen or rate != -self._rate(self._open(txid)):
                continue
            if -rate < self._floor:
                break
            self._choose(self._open(txid))
        return list(self._chosen.values())

    def _open(self, txid: bytes) -> set[bytes]:
        return self._mempool.ancestors([txid]) - self._chosen.keys()

    def _rate(self, package: set[bytes]) -> Fraction:
        fee, vsize = self._mempool.total(package)
        return Fraction(fee * 1000, vsize)

    def _enqueue(self, txid: bytes) -> None:
        heapq.heappush(self._queue, (-self._rate(self._open(txid)), self._place[txid], txid))

    def _choose(self, package: set[bytes]) -> None:
        entries = [e for t in sorted(package, key=self._place.__getitem__) if (e := self._mempool.get(t))]
        weight = sum(e.transaction.weight for e in entries)
        if weight > self._room or not all(is_final(e.transaction, self._chain) for e in entries):
            return
        self._room -= weight
        for entry in entries:
            self._chosen[entry.txid] = entry.transaction
        # What depended on the package has fewer ancestors to pay for now.
        for txid in self._mempool.descendants(package) - self._chosen.keys():
            self._enqueue(txid)
