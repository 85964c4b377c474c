"""Unconfirmed transactions and how they hang together. Entries stand in the order of their arrival, parents first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from coordinator.embedded.node.chunks import Chunk, Member, chunks
from coordinator.embedded.node.codec import OutPoint, Transaction, TxOutput


@dataclass(slots=True)
class Entry:
    """A transaction of the mempool. Fee in satoshi, time in node time, height of the tip when it came."""

    transaction: Transaction
    fee: int
    time: int
    height: int
    spent: tuple[TxOutput, ...]
    parents: frozenset[bytes]
    children: set[bytes] = field(default_factory=set)
    unbroadcast: bool = False

    @property
    def txid(self) -> bytes:
        """Internal order."""
        return self.transaction.txid


class Mempool:
    """The graph of unconfirmed transactions. Knows no rules: what may enter is the business of `acceptance`."""

    def __init__(self) -> None:
        self._entries: dict[bytes, Entry] = {}
        self.spenders: dict[OutPoint, bytes] = {}
        """Which unconfirmed transaction spends an output."""
        self.fee_deltas: dict[bytes, int] = {}
        """Satoshi added to a fee when transactions are ordered, by txid (prioritisetransaction)."""
        self.sequence = 1
        """Grows with everything that enters or leaves."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Entry]:
        return iter(list(self._entries.values()))

    def __contains__(self, txid: bytes) -> bool:
        return txid in self._entries

    def get(self, txid: bytes) -> Entry | None:
        """The entry of a txid (internal order)."""
        return self._entries.get(txid)

    def output(self, outpoint: OutPoint) -> TxOutput | None:
        """An output of an unconfirmed transaction, spent or not."""
        entry = self._entries.get(outpoint.txid)
        if entry is None or outpoint.vout >= len(entry.transaction.outputs):
            return None
        return entry.transaction.outputs[outpoint.vout]

    def modified_fee(self, entry: Entry) -> int:
        """Fee with its delta, satoshi."""
        return entry.fee + self.fee_deltas.get(entry.txid, 0)

    def ancestors(self, txids: Iterable[bytes]) -> set[bytes]:
        """The given transactions and all unconfirmed ones they depend on."""
        return self._reach(txids, lambda entry: entry.parents)

    def descendants(self, txids: Iterable[bytes]) -> set[bytes]:
        """The given transactions and all that depend on them."""
        return self._reach(txids, lambda entry: entry.children)

    def cluster(self, txids: Iterable[bytes]) -> set[bytes]:
        """All transactions connected with the given ones."""
        return self._reach(txids, lambda entry: entry.parents | entry.children)

    def _reach(self, txids: Iterable[bytes], step: Callable[[Entry], Iterable[bytes]]) -> set[bytes]:
        found = {t for t in txids if t in self._entries}
        stack = list(found)
        while stack:
            for other in step(self._entries[stack.pop()]):
                if other not in found and other in self._entries:
                    found.add(other)
                    stack.append(other)
        return found

    def total(self, txids: Iterable[bytes]) -> tuple[int, int]:
        """(modified fees in satoshi, virtual bytes) of some entries."""
        entries = [self._entries[t] for t in txids]
        return sum(self.modified_fee(e) for e in entries), sum(e.transaction.vsize for e in entries)

    def members(self, txids: Iterable[bytes]) -> dict[bytes, Member]:
        """The given entries as members of a cluster, parents outside left out."""
        inside = {t for t in txids if t in self._entries}
        return {
            t: Member(self.modified_fee(e), e.transaction.weight, e.parents & inside)
            for t, e in self._entries.items()
            if t in inside
        }

    def chunks_of(self, txid: bytes) -> list[Chunk]:
        """The chunks of the cluster a transaction belongs to."""
        return chunks(self.members(self.cluster([txid])))

    def add(self, entry: Entry) -> None:
        """Take in an entry whose parents are here and whose inputs nobody else spends."""
        self._entries[entry.txid] = entry
        self.sequence += 1
        for spend in entry.transaction.inputs:
            self.spenders[spend.previous] = entry.txid
        for parent in entry.parents:
            self._entries[parent].children.add(entry.txid)

    def remove(self, txids: Iterable[bytes]) -> None:
        """Take out entries. Whoever depends on them must be among them, unless they were confirmed."""
        for txid in txids:
            entry = self._entries.pop(txid, None)
            if entry is None:
                continue
            self.sequence += 1
            for spend in entry.transaction.inputs:
                self.spenders.pop(spend.previous, None)
            for parent in entry.parents & self._entries.keys():
                self._entries[parent].children.discard(txid)
            for child in entry.children & self._entries.keys():
                self._entries[child].parents -= {txid}

    def confirm(self, transaction: Transaction) -> None:
        """Take out a transaction that a block holds, and all that conflicts with it."""
        self.remove([transaction.txid])
        self.fee_deltas.pop(transaction.txid, None)
        rivals = {self.spenders[i.previous] for i in transaction.inputs if i.previous in self.spenders}
        self.remove(self.descendants(rivals))

    def clear(self) -> list[Transaction]:
        """Empty the pool; what it held comes back in order."""
        held = [entry.transaction for entry in self._entries.values()]
        self._entries.clear()
        self.spenders.clear()
        return held
