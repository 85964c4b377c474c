"""The tree of known blocks and its active branch, as the validation engine chooses it.

Every accepted block is in the journal before `submit` returns. The engine itself is rebuilt from the journal: on
opening, and when a block is invalidated or reconsidered, which the engine's public interface has no call for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.embedded.node.block import GENESIS, Block, assemble, subsidy
from coordinator.embedded.node.codec import OutPoint, Transaction
from coordinator.embedded.node.errors import BlockRejected
from coordinator.embedded.node.index import ChainIndex, Coin
from coordinator.embedded.node.journal import BlockJournal
from coordinator.embedded.node.kernel import WOULD_CONNECT, Kernel

MEDIAN_TIME_SPAN = 11


@dataclass(frozen=True, slots=True)
class BlockNode:
    """A known block at its place in the tree. Times in seconds since 1970."""

    block: Block
    height: int
    parent: BlockNode | None = field(repr=False)
    median_time_past: int
    """Median of the times of this block and the ten before it (BIP113): the next block must be later."""

    @property
    def hash(self) -> bytes:
        """Block hash, internal order."""
        return self.block.hash

    @property
    def time(self) -> int:
        """Time in the header."""
        return self.block.header.time

    @property
    def chain_work(self) -> int:
        """Expected hashes up to here: two for each regtest block."""
        return 2 * (self.height + 1)

    def ancestors(self) -> Iterator[BlockNode]:
        """This block, its parent, and so on to the genesis block."""
        node: BlockNode | None = self
        while node is not None:
            yield node
            node = node.parent


@dataclass(slots=True)
class ChainChange:
    """What a call did to the active chain, for those who follow it."""

    disconnected: list[Block] = field(default_factory=list)
    """From the former tip downwards."""
    connected: list[Block] = field(default_factory=list)
    """From the fork upwards."""


def _node(block: Block, parent: BlockNode | None) -> BlockNode:
    times = [block.header.time]
    if parent is not None:
        times += [n.time for n, _ in zip(parent.ancestors(), range(MEDIAN_TIME_SPAN - 1), strict=False)]
    height = 0 if parent is None else parent.height + 1
    return BlockNode(block, height, parent, sorted(times)[len(times) // 2])


class Chain:
    """The active chain of one data directory. One caller at a time.

    `invalid` holds hashes of blocks a person declared invalid; they and what stands on them are left out.
    """

    def __init__(self, directory: Path, journal: BlockJournal, invalid: set[bytes]) -> None:
        self._directory = directory
        self._journal = journal
        self.invalid = invalid
        self.index = ChainIndex()
        genesis = _node(Block.parse(GENESIS), None)
        self.nodes: dict[bytes, BlockNode] = {genesis.hash: genesis}
        self.active: list[BlockNode] = []
        self.once_active: set[bytes] = set()
        """Hashes of blocks that were part of the active chain since opening."""
        for raw in journal.blocks():
            self._remember(Block.parse(raw))
        self._questions = 0
        self._kernel = self._replayed()
        self._follow()
        self._remember_stale()

    @property
    def tip(self) -> BlockNode:
        """The last block of the active chain."""
        return self.active[-1]

    @property
    def height(self) -> int:
        """Height of the tip."""
        return len(self.active) - 1

    def coin(self, outpoint: OutPoint) -> Coin | None:
        """An unspent output of the active chain."""
        return self.index.coins.get(outpoint)

    def median_time_past(self, height: int) -> int:
        """Median time past of the active block at `height`."""
        return self.active[height].median_time_past

    def is_active(self, node: BlockNode) -> bool:
        """True when the block is part of the active chain."""
        return node.height <= self.height and self.active[node.height] is node

    def submit(self, block: Block, *, durable: bool = True) -> ChainChange:
        """Validate and take in a block. Raises BlockRejected with the engine's reason.

        A block that does not become the tip is kept as a side chain. With `durable` false the caller promises to
        call `make_durable` before it tells anyone.
        """
        if block.hash in self.nodes:
            raise BlockRejected("duplicate-invalid" if self.is_invalid(self.nodes[block.hash]) else "duplicate")
        parent = self.nodes.get(block.header.previous)
        if parent is not None and self.is_invalid(parent):
            raise BlockRejected("bad-prevblk")
        reason = self._kernel.submit(block.raw)
        if reason is not None:
            raise BlockRejected(reason)
        if durable:
            self._journal.append([block.raw])
        self._remember(block)
        return self._follow()

    def make_durable(self, blocks: list[Block]) -> None:
        """Write blocks that were submitted with `durable` false."""
        self._journal.append([block.raw for block in blocks])

    def would_connect(self, transactions: list[Transaction], script: bytes, time: int) -> str | None:
        """Ask the engine about a block of `transactions` without mining it: None, or its reject reason.

        The block pays its miner too much, so it can never connect, and that is checked after all transactions.
        """
        height = self.height + 1
        self._questions += 1
        block = assemble(
            self.tip.hash,
            height,
            time,
            script,
            transactions,
            coinbase_value=subsidy(height) + self._fees(transactions) + 1,
            # The engine does not look twice at a block it refused; each question is a block of its own.
            extra_nonce=self._questions,
        )
        reason = self._kernel.submit(block.raw)
        return None if reason is not None and reason.startswith(WOULD_CONNECT) else reason

    def _fees(self, transactions: list[Transaction]) -> int:
        made = {OutPoint(t.txid, n): o for t in transactions for n, o in enumerate(t.outputs)}
        spent = 0
        for outpoint in (i.previous for t in transactions for i in t.inputs):
            coin = self.coin(outpoint)
            output = coin.output if coin else made.get(outpoint)
            spent += output.value if output else 0
        return max(0, spent - sum(t.value_out for t in transactions))

    def invalidate(self, node: BlockNode) -> ChainChange:
        """Take a block and what stands on it off the chain."""
        self.invalid.add(node.hash)
        return self._rebuild()

    def reconsider(self, node: BlockNode) -> ChainChange:
        """Undo `invalidate` for a block, its ancestors and what stands on it."""
        line = {n.hash for n in node.ancestors()}
        above = {n.hash for n in self.nodes.values() if node in n.ancestors()}
        self.invalid -= line | above
        return self._rebuild()

    def is_invalid(self, node: BlockNode) -> bool:
        """True for a block that was declared invalid, failed validation, or stands on one of these."""
        if self.is_active(node):
            return False
        bad = self.invalid | self._kernel.rejected
        return any(n.hash in bad for n in node.ancestors())

    def leaves(self) -> list[BlockNode]:
        """The ends of all branches, highest first."""
        parents = {n.parent.hash for n in self.nodes.values() if n.parent is not None}
        ends = {h: n for h, n in self.nodes.items() if h not in parents or n is self.tip}
        return sorted(ends.values(), key=lambda n: (-n.height, n.hash))

    def close(self) -> None:
        """Free the engine."""
        self._kernel.close()

    def _remember(self, block: Block) -> None:
        self.nodes[block.hash] = _node(block, self.nodes[block.header.previous])

    def _replayed(self) -> Kernel:
        kernel = Kernel(self._directory)
        left_out: set[bytes] = set()
        for node in self.nodes.values():
            if node.parent is None:
                continue
            if node.hash in self.invalid or node.parent.hash in left_out:
                left_out.add(node.hash)
            else:
                kernel.submit(node.block.raw)
        return kernel

    def _rebuild(self) -> ChainChange:
        self._kernel.close()
        self._kernel = self._replayed()
        return self._follow()

    def _follow(self) -> ChainChange:
        """Bring `active` and the index to the engine's tip."""
        change = ChainChange()
        ahead: list[BlockNode] = []
        for node in self.nodes[self._kernel.tip()].ancestors():
            if self.active and self.is_active(node):
                break
            ahead.append(node)
        fork = ahead[-1].height - 1 if ahead else self.nodes[self._kernel.tip()].height
        while self.height > fork:
            gone = self.active.pop()
            self.index.disconnect(gone.block)
            change.disconnected.append(gone.block)
        for node in reversed(ahead):
            self.index.connect(node.block, node.height)
            self.active.append(node)
            self.once_active.add(node.hash)
            change.connected.append(node.block)
        return change

    def _remember_stale(self) -> None:
        for node in self.nodes.values():
            if not self.is_active(node):
                self.index.remember_stale(node.block, node.height)
