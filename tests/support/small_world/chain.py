"""A chain with a mempool: transactions by name, their inputs and time locks; blocks, reorgs, conflicts. No scripts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median_low

from coordinator.domain.lane import SpendSeen
from coordinator_core.units import Height, UnixTime

MEDIAN_SPAN = 11


@dataclass(frozen=True)
class Tx:
    """One transaction. `after`: blocks that its first input has to be deep (BIP68). `past`: median time past that has
    to be exceeded (nLockTime). `by`: who signed it last, for the books.
    """

    txid: str
    spends: tuple[str, ...]
    after: int = 0
    past: int = 0
    by: str = "coordinator"


@dataclass(frozen=True)
class View:
    """What a node shows at one moment."""

    tip: Height
    median_time_past: UnixTime
    confirmed: Mapping[str, Height]
    spent: Mapping[str, SpendSeen]


class Chain:
    """`start` is the height of a block before the first that matters; `now` its time, which the caller moves on."""

    def __init__(self, start: int, now: int) -> None:
        self.start = start
        self.now = now
        self.blocks: list[tuple[int, list[Tx]]] = []
        self.mempool: dict[str, Tx] = {}
        self._before = [now - 600 * n for n in range(MEDIAN_SPAN, 0, -1)]
        self._index: tuple[dict[str, Height], dict[str, SpendSeen]] = ({}, {})

    @property
    def tip(self) -> int:
        return self.start + len(self.blocks)

    def view(self) -> View:
        times = [*self._before, *(time for time, _ in self.blocks[-MEDIAN_SPAN:])]
        return View(Height(self.tip), UnixTime(median_low(times[-MEDIAN_SPAN:])), *self._index)

    def _connect(self, block: list[Tx]) -> None:
        self.blocks.append((self.now, block))
        if block:
            # Views that were handed out stay as they were.
            confirmed, spent = dict(self._index[0]), dict(self._index[1])
            confirmed |= {tx.txid: Height(self.tip) for tx in block}
            spent |= {o: SpendSeen(tx.txid, Height(self.tip)) for tx in block for o in tx.spends}
            self._index = confirmed, spent

    def _disconnect(self, depth: int) -> list[Tx]:
        gone = [self.blocks.pop()[1] for _ in range(min(depth, len(self.blocks)))]
        left = [tx for block in reversed(gone) for tx in block]
        txids = {tx.txid for tx in left}
        confirmed, spent = self._index
        self._index = (
            {t: h for t, h in confirmed.items() if t not in txids},
            {o: seen for o, seen in spent.items() if seen.txid not in txids},
        )
        return left

    def transaction(self, txid: str) -> Tx | None:
        """In chain or mempool."""
        height = self._index[0].get(txid)
        if height is None:
            return self.mempool.get(txid)
        return next(tx for tx in self.blocks[height - self.start - 1][1] if tx.txid == txid)

    def knows(self, txid: str) -> bool:
        return txid in self._index[0] or txid in self.mempool

    def announce(self, tx: Tx, *, replaces: bool = False) -> bool:
        """True when the node has it now. `replaces`: it pays more than what it conflicts with."""
        if self.knows(tx.txid):
            return True
        rivals = [other for other in self.mempool.values() if set(other.spends) & set(tx.spends)]
        if (rivals and not replaces) or not self._valid(tx, self.view(), self.mempool.values()):
            return False
        for rival in rivals:
            self.forget(rival.txid)
        self.mempool[tx.txid] = tx
        return True

    def forget(self, txid: str) -> None:
        """It leaves the mempool, with everything that spends it."""
        gone = self.mempool.pop(txid, None)
        if gone is not None:
            for child in [t for t in self.mempool.values() if any(o.startswith(f"{txid}:") for o in t.spends)]:
                self.forget(child.txid)

    def _valid(self, tx: Tx, view: View, unconfirmed: Collection[Tx]) -> bool:
        if view.median_time_past <= tx.past or any(outpoint in view.spent for outpoint in tx.spends):
            return False
        parents = [outpoint.rpartition(":")[0] for outpoint in tx.spends]
        pending = {t.txid for t in unconfirmed}
        if not all(p in view.confirmed or p in pending or p.startswith("coin") for p in parents):
            return False
        height = view.confirmed.get(parents[0])
        return tx.after == 0 or (height is not None and view.tip + 1 >= height + tx.after)

    def mine(self, leave: Collection[str] = ()) -> None:
        """One block of the mempool, parents before children, without `leave` and what spends it."""
        block: list[Tx] = []
        view = self.view()
        if not self.mempool:
            return self._connect(block)
        for tx in list(self.mempool.values()):
            pending = [t for t in block if tx.after == 0]
            spent = {o for t in block for o in t.spends}
            if tx.txid not in leave and not spent & set(tx.spends) and self._valid(tx, view, pending):
                block.append(tx)
        self._connect(block)
        for tx in block:
            del self.mempool[tx.txid]
        self._drop_conflicts()
        return None

    def _drop_conflicts(self) -> None:
        view = self.view()
        for tx in list(self.mempool.values()):
            if any(o in view.spent for o in tx.spends) or not self._valid(tx, view, self.mempool.values()):
                self.forget(tx.txid)

    def reorg(self, depth: int, rivals: Sequence[Tx], forgotten: Collection[str], late: int = 0) -> None:
        """`depth` blocks leave for one more than that. The new one of number `late` has `rivals`, as far as they are
        valid there; `forgotten` is in no mempool any more. The rest comes in by and by.
        """
        depth = min(depth, len(self.blocks))
        left = self._disconnect(depth)
        before, self.mempool = list(self.mempool.values()), {}
        for tx in (*rivals, *left, *before):
            if tx.txid not in forgotten:
                self.announce(tx)
        chosen = {tx.txid for tx in rivals}
        for number in range(depth + 1):
            takes = number == min(late, depth)
            self.mine(leave=[txid for txid in self.mempool if not takes or txid not in chosen])
        for tx in (*left, *before):
            if tx.txid not in forgotten:
                self.announce(tx)
