"""`EmbeddedNode`: chain, mempool, miner and faucet of one data directory, synchronous, in this process.

Every public method takes the node's lock, so threads may share it. The servers put one writer thread in front.

    with EmbeddedNode(directory) as node:
        outpoint = node.fund(script, 100_000)
        node.mine()
        node.send(raw_transaction)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from coordinator.embedded.node.acceptance import Acceptance, Candidate
from coordinator.embedded.node.block import Block, assemble, subsidy
from coordinator.embedded.node.chain import BlockNode, Chain, ChainChange
from coordinator.embedded.node.clock import REGTEST_GENESIS_TIME, NodeClock
from coordinator.embedded.node.codec import OutPoint, Transaction, TxOutput
from coordinator.embedded.node.consensus import COINBASE_MATURITY
from coordinator.embedded.node.errors import BlockRejected, ClockRefused, TransactionRejected
from coordinator.embedded.node.faucet import Faucet
from coordinator.embedded.node.fees import FeeSettings
from coordinator.embedded.node.index import script_hash
from coordinator.embedded.node.journal import BlockJournal, DirectoryLock, StateFile
from coordinator.embedded.node.mempool import Mempool
from coordinator.embedded.node.miner import select
from coordinator.embedded.node.package import Outcome, PackageResult, PackageSubmission, try_each
from coordinator_core.errors import InvalidInput

START_BEFORE_NOW_SECONDS: Final = 30 * 24 * 3600
DEFAULT_BLOCK_INTERVAL_SECONDS: Final = 600
DEFAULT_BOOTSTRAP_BLOCKS: Final = 150
"""The last height with the full subsidy is 149; 51 coinbases of it are spendable at once."""
DEFAULT_SEED: Final = "embedded"
MAX_BLOCKS_A_CALL: Final = 10_000


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How a new chain starts, and how time goes by."""

    start_time: int | None = None
    """Node time at the end of the first blocks, seconds since 1970; None: 30 days ago."""
    frozen: bool = False
    """Time stands still but for mining: with a start time and a seed the chain is the same in every run."""
    block_interval_seconds: int = DEFAULT_BLOCK_INTERVAL_SECONDS
    """How far node time moves on before each mined block."""
    bootstrap_blocks: int = DEFAULT_BOOTSTRAP_BLOCKS
    seed: str = DEFAULT_SEED
    """Of the faucet's key."""


class EmbeddedNode:
    """A regtest node. Raises DataDirectoryInUse, JournalDamaged, ClockRefused on opening."""

    def __init__(self, data_dir: Path, options: NodeOptions | None = None) -> None:
        self.options = options or NodeOptions()
        self.lock = threading.RLock()
        self._resources = ExitStack()
        self._closed = False
        with ExitStack() as opened:
            # Whatever is open when a later step fails is closed again, the directory's lock last.
            opened.callback(DirectoryLock(data_dir).release)
            self._state_file = StateFile(data_dir / "node.json")
            state = self._state_file.read()
            self.clock = self._clock(state.get("clock"))
            self.settings = _settings(state.get("fees"))
            self.faucet = Faucet(self.options.seed)
            journal = opened.enter_context(closing(BlockJournal(data_dir / "blocks.journal")))
            invalid = {bytes.fromhex(h) for h in state.get("invalid", [])}
            self.chain = opened.enter_context(closing(Chain(data_dir / "engine", journal, invalid)))
            self.mempool = Mempool()
            self.acceptance = Acceptance(self.mempool, self.chain, self.settings, self._explain)
            self._begin(state)
            self._resources = opened.pop_all()

    def _clock(self, saved: dict[str, Any] | None) -> NodeClock:
        if saved is not None:
            return NodeClock(saved["offset"], saved["frozen_at"])
        now = int(time.time())
        start = self.options.start_time
        start = now - START_BEFORE_NOW_SECONDS if start is None else start
        clock = NodeClock(offset=start - now)
        if self.options.frozen:
            clock.freeze(start)
        elif not REGTEST_GENESIS_TIME < start <= clock.latest:
            raise ClockRefused("start time", f"{start} is outside {REGTEST_GENESIS_TIME + 1} to {clock.latest}")
        return clock

    def _begin(self, state: dict[str, Any]) -> None:
        if len(self.chain.nodes) == 1 and self.options.bootstrap_blocks:
            self._bootstrap()
        # Mining moves the clock without a note in the state file; the tip tells how far it had come.
        self.clock.advance(self.chain.tip.time - self.clock.now())
        for raw in state.get("mempool", []):
            self._readmit(Transaction.parse(bytes.fromhex(raw)))
        self._save()

    def _bootstrap(self) -> None:
        blocks: list[Block] = []
        count, end = self.options.bootstrap_blocks, self.clock.now()
        for height in range(1, count + 1):
            spaced = end - (count - height) * self.options.block_interval_seconds
            block_time = max(spaced, self.chain.tip.median_time_past + 1)
            block = self._assembled([], self.faucet.script, block_time, subsidy(height))
            self.chain.submit(block, durable=False)
            blocks.append(block)
        self.chain.make_durable(blocks)

    def __enter__(self) -> EmbeddedNode:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write the mempool and let go of engine, files and directory."""
        with self.lock:
            if self._closed:
                return
            self._closed = True
            self._save(mempool=[entry.transaction.raw.hex() for entry in self.mempool])
            self._resources.close()

    def _save(self, mempool: list[str] | None = None) -> None:
        fees = {
            "min_relay": self.settings.min_relay,
            "mempool_minimum": self.settings.mempool_minimum,
            "block_floor": self.settings.block_floor,
            "estimates": None
            if self.settings.estimates is None
            else {str(target): rate for target, rate in self.settings.estimates.items()},
        }
        self._state_file.write(
            {
                "clock": {"offset": self.clock.offset, "frozen_at": self.clock.frozen_at},
                "fees": fees,
                "invalid": sorted(h.hex() for h in self.chain.invalid),
                "mempool": mempool or [],
            }
        )

    @property
    def height(self) -> int:
        """Height of the tip."""
        return self.chain.height

    @property
    def tip(self) -> BlockNode:
        """The last block of the active chain."""
        return self.chain.tip

    def send(self, transaction: Transaction | bytes, *, unbroadcast: bool = False) -> Transaction:
        """Put a transaction into the mempool. Raises InvalidInput for bytes that do not decode, TransactionRejected."""
        with self.lock:
            candidate = self.test(transaction)
            self.acceptance.add(candidate, self.clock.now(), unbroadcast=unbroadcast)
            return candidate.transaction

    def test(self, transaction: Transaction | bytes) -> Candidate:
        """Say whether the mempool would take a transaction. Raises as `send`; changes nothing."""
        with self.lock:
            return self.acceptance.accept(_parsed(transaction))

    def test_each(self, transactions: Sequence[Transaction]) -> list[Outcome]:
        """testmempoolaccept of several transactions."""
        with self.lock:
            return try_each(self.acceptance, transactions)

    def submit_package(self, transactions: Sequence[Transaction], max_sat_per_kvb: int = 0) -> PackageResult:
        """submitpackage: parents and their child, judged together. Each is refused above the given rate; 0: none."""
        with self.lock:
            return PackageSubmission(self.acceptance, transactions, self.clock.now(), max_sat_per_kvb).run()

    def mine(
        self, count: int = 1, script: bytes | None = None, *, seconds_per_block: int | None = None
    ) -> list[BlockNode]:
        """Mine blocks from the mempool, to the faucet unless a script is given.

        Node time moves on by `seconds_per_block` (default: the interval of the options) before each.
        """
        if not 0 <= count <= MAX_BLOCKS_A_CALL:
            raise InvalidInput("count", f"{count} is out of range", f"0 to {MAX_BLOCKS_A_CALL}")
        step = self.options.block_interval_seconds if seconds_per_block is None else seconds_per_block
        mined: list[BlockNode] = []
        with self.lock:
            for _ in range(count):
                self.clock.advance(step)
                chosen = select(self.mempool, self.chain, self.settings.block_floor)
                entries = [e for t in chosen if (e := self.mempool.get(t.txid))]
                value = subsidy(self.height + 1) + sum(e.fee for e in entries)
                mined.append(self._extend(chosen, script or self.faucet.script, value))
        return mined

    def mine_exactly(self, transactions: Sequence[Transaction], script: bytes | None = None) -> BlockNode:
        """Mine one block of just these transactions (generateblock). Raises BlockRejected with the engine's reason.

        As in Core, its coinbase takes the subsidy and leaves the fees.
        """
        with self.lock:
            self.clock.advance(self.options.block_interval_seconds)
            return self._extend(transactions, script or self.faucet.script, subsidy(self.height + 1))

    def _extend(self, transactions: Sequence[Transaction], script: bytes, coinbase_value: int) -> BlockNode:
        block = self._assembled(transactions, script, self._block_time(), coinbase_value)
        self._follow(self.chain.submit(block))
        return self.chain.nodes[block.hash]

    def _assembled(
        self, transactions: Sequence[Transaction], script: bytes, block_time: int, coinbase_value: int
    ) -> Block:
        tip, extra_nonce = self.chain.tip, 0
        while True:
            block = assemble(
                tip.hash,
                tip.height + 1,
                block_time,
                script,
                transactions,
                coinbase_value=coinbase_value,
                extra_nonce=extra_nonce,
            )
            # While time stands still the next block can equal one that was mined here before and invalidated.
            if block.hash not in self.chain.nodes:
                return block
            extra_nonce += 1

    def _block_time(self) -> int:
        """The time of a block mined now: node time, but later than the median of the last eleven."""
        return max(self.clock.now(), self.chain.tip.median_time_past + 1)

    def submit_block(self, raw: bytes) -> BlockNode:
        """Take in a block from outside. Raises InvalidInput, BlockRejected."""
        with self.lock:
            block = Block.parse(raw)
            if block.header.previous not in self.chain.nodes:
                raise BlockRejected("prev-blk-not-found")
            self._follow(self.chain.submit(block))
            return self.chain.nodes[block.hash]

    def invalidate(self, node: BlockNode) -> None:
        """Take a block and all above it off the chain; their transactions go back to the mempool."""
        with self.lock:
            if node.parent is None:
                raise InvalidInput("blockhash", "is the genesis block", "name a later block")
            change = self.chain.invalidate(node)
            self._save()
            self._follow(change)

    def reconsider(self, node: BlockNode) -> None:
        """Undo `invalidate`; the chain with the most work wins again."""
        with self.lock:
            change = self.chain.reconsider(node)
            self._save()
            self._follow(change)

    def _follow(self, change: ChainChange) -> None:
        """Bring the mempool in line with a changed chain."""
        if not change.disconnected:
            for block in change.connected:
                for transaction in block.transactions[1:]:
                    self.mempool.confirm(transaction)
            return
        returning = [t for block in reversed(change.disconnected) for t in block.transactions[1:]]
        for transaction in [*returning, *self.mempool.clear()]:
            self._readmit(transaction)

    def _readmit(self, transaction: Transaction) -> None:
        """Take a transaction in again after a reorganisation or a restart, whatever it pays."""
        try:
            candidate = self.acceptance.accept(transaction, check_fee=False)
        except TransactionRejected:
            # Confirmed in the new chain, or no longer valid on it: as in Core it leaves the mempool.
            return
        self.acceptance.add(candidate, self.clock.now())

    def _explain(self, transactions: list[Transaction]) -> str | None:
        reason = self.chain.would_connect(transactions, self.faucet.script, self._block_time())
        _, found, text = (reason or "").partition("script-verify-flag-failed (")
        return text.split("), input ")[0].removesuffix(")") if found else None

    def fund(self, script: bytes, amount_sat: int) -> OutPoint:
        """Pay from the faucet; the output stands in the mempool. Raises FundsMissing, TransactionRejected."""
        with self.lock:
            transaction = self.pay([TxOutput(amount_sat, script)])
            return OutPoint(transaction.txid, 0)

    def pay(self, outputs: Sequence[TxOutput]) -> Transaction:
        """Pay several outputs from the faucet, in order; change comes last."""
        with self.lock:
            rate = max(self.settings.entry_minimum, self.settings.block_floor) * 11 // 10
            payment = self.faucet.pay(self._faucet_coins(), outputs, rate)
            return self.send(payment)

    def _faucet_coins(self) -> list[tuple[OutPoint, TxOutput]]:
        """Spendable coins of the faucet: confirmed ones first, then change that is still unconfirmed."""
        mature = self.height + 1 - COINBASE_MATURITY
        coins = [
            (outpoint, coin.output)
            for outpoint, coin in self.chain.index.unspent(script_hash(self.faucet.script))
            if not coin.coinbase or coin.height <= mature
        ]
        coins += [
            (OutPoint(entry.txid, vout), output)
            for entry in self.mempool
            for vout, output in enumerate(entry.transaction.outputs)
            if output.script == self.faucet.script
        ]
        return [(o, c) for o, c in coins if o not in self.mempool.spenders]

    def set_mock_time(self, instant: int) -> None:
        """Let node time stand still at `instant`, or flow on from where it is with 0. Raises ClockRefused."""
        with self.lock:
            if instant == 0:
                self.clock.flow()
            else:
                self.clock.freeze(instant)
            self._save()

    def set_fees(
        self,
        *,
        block_floor: int | None = None,
        mempool_minimum: int | None = None,
        min_relay: int | None = None,
    ) -> None:
        """Turn the fee settings, sat/kvB. What is in the mempool stays there."""
        given = {"block_floor": block_floor, "mempool_minimum": mempool_minimum, "min_relay": min_relay}
        with self.lock:
            for name, rate in given.items():
                if rate is not None:
                    setattr(self.settings, name, _rate(rate, name))
            self._save()

    def set_estimates(self, estimates: dict[int, int] | None) -> None:
        """What estimatesmartfee answers: sat/kvB by confirmation target, None for no data."""
        with self.lock:
            if estimates is not None:
                for target, rate in estimates.items():
                    _rate(rate, f"estimates.{target}")
                    if not 1 <= target <= 1008:
                        raise InvalidInput("estimates", f"target {target} is out of range", "1 to 1008 blocks")
            self.settings.estimates = estimates or None
            self._save()


def _parsed(transaction: Transaction | bytes) -> Transaction:
    return Transaction.parse(transaction) if isinstance(transaction, bytes) else transaction


def _rate(rate: int, field: str) -> int:
    if not 0 <= rate <= 100_000_000:
        raise InvalidInput(field, f"{rate} is out of range", "0 to 100000000 sat per 1000 vB")
    return rate


def _settings(saved: dict[str, Any] | None) -> FeeSettings:
    if saved is None:
        return FeeSettings()
    estimates = saved["estimates"]
    return FeeSettings(
        saved["min_relay"],
        saved["mempool_minimum"],
        saved["block_floor"],
        None if estimates is None else {int(target): rate for target, rate in estimates.items()},
    )
