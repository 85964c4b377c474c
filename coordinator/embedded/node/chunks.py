"""Order and grouping of connected transactions by fee rate, as Core's cluster mempool sees them.

A cluster is put in order (ancestors before descendants, best paying set of ancestors first) and cut into chunks:
groups whose fee rate falls from one to the next. Core searches for the best order; this greedy one equals it for the
small shapes a test network has, and is never better than Core's.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Member:
    """One transaction of a cluster: satoshi (with any delta), weight units, ids of its parents in the cluster."""

    fee: int
    weight: int
    parents: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Transactions that are mined together, in order."""

    txids: tuple[bytes, ...]
    fee: int
    weight: int

    def pays_less_than(self, other: Chunk) -> bool:
        """Compare fee rates without division."""
        return self.fee * other.weight < other.fee * self.weight


def linearize(members: Mapping[bytes, Member]) -> list[bytes]:
    """Ids in the order of mining: again and again the set of open ancestors with the best fee rate."""
    left = dict(members)
    order: list[bytes] = []
    while left:
        sets = {txid: _open_ancestors(txid, left) for txid in left}
        best = max(sets.values(), key=lambda found: _rate(found, left))
        order += _parents_first(best, left)
        for txid in best:
            del left[txid]
    return order


def chunks(members: Mapping[bytes, Member], order: Sequence[bytes] | None = None) -> list[Chunk]:
    """The chunks of a cluster, best fee rate first."""
    cut: list[Chunk] = []
    for txid in order if order is not None else linearize(members):
        added = Chunk((txid,), members[txid].fee, members[txid].weight)
        while cut and cut[-1].pays_less_than(added):
            former = cut.pop()
            added = Chunk(former.txids + added.txids, former.fee + added.fee, former.weight + added.weight)
        cut.append(added)
    return cut


def improves_diagram(before: Iterable[Chunk], after: Iterable[Chunk]) -> bool:
    """True when, at every size, the best `after` offers at least the fees of `before`, and somewhere more."""
    old, new = _diagram(before), _diagram(after)
    sizes = sorted({x for x, _ in old} | {x for x, _ in new})
    gains = [_height(new, x) - _height(old, x) for x in sizes]
    return all(g >= 0 for g in gains) and any(g > 0 for g in gains)


def _open_ancestors(txid: bytes, left: Mapping[bytes, Member]) -> set[bytes]:
    found, stack = {txid}, [txid]
    while stack:
        for parent in left[stack.pop()].parents:
            if parent in left and parent not in found:
                found.add(parent)
                stack.append(parent)
    return found


def _rate(txids: Iterable[bytes], members: Mapping[bytes, Member]) -> tuple[Fraction, int]:
    weight = sum(members[t].weight for t in txids)
    return Fraction(sum(members[t].fee for t in txids), weight), -weight


def _parents_first(txids: set[bytes], members: Mapping[bytes, Member]) -> list[bytes]:
    return sorted(txids, key=lambda t: len(_open_ancestors(t, members)))


def _diagram(cut: Iterable[Chunk]) -> list[tuple[int, int]]:
    points = [(0, 0)]
    for chunk in sorted(cut, key=lambda c: Fraction(c.fee, c.weight), reverse=True):
        points.append((points[-1][0] + chunk.weight, points[-1][1] + chunk.fee))
    return points


def _height(points: list[tuple[int, int]], weight: int) -> Fraction:
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if weight <= x1:
            return Fraction(y0) + Fraction((weight - x0) * (y1 - y0), x1 - x0)
    return Fraction(points[-1][1])
