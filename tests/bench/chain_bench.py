"""Blocks on the real store with synchronous=FULL: a full one among many watches, many small ones to catch up with.

`python -m tests.bench.chain_bench [--repeat N] [figure ...]` prints a table and one line of JSON. Blocks are
serialized ones that are parsed and checked as those of a node; the node is simulated in front of that, 10 ms for each
answer. Times are those of the wall clock, of all threads where it says cpu; of the repetitions the best counts, and the
median stands beside it.

block      a full block of 4,000 transactions against 400,000 watches of 10,000 competitions, 500 of which are hit
ended      a block with 0, 1,000 and 10,000 competitions that are over
catch_up   blocks of 50 transactions one after the other, and as they are caught up with
reorg      six blocks rolled back and seven stored
kill       how many blocks a kill in the middle of catching up takes back
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import insert

from coordinator.adapters.bitcoin.raw_block import Served, checked_block
from coordinator.adapters.store import tables as t
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.engine.chain import ChainLoop
from coordinator.engine.chain.fetching import LARGEST_WINDOW
from coordinator.engine.chain.following import STORED_AT_ONCE
from coordinator.engine.chain.watching import keys_of
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.bitcoin import Block, BlockTransaction, Network, Tip
from coordinator.ports.following import Watch
from coordinator_core.transaction import OutPoint, Transaction, TxIn, TxOut
from coordinator_core.units import Height, Sats, UnixTime
from tests.support.blocks import coinbase, mined
from tests.support.ports import Clock

FULL: Final = 4_000
COMPETITIONS: Final = 10_000
WATCHES_EACH: Final = 40
LIVE: Final = 10
HITS: Final = 500
SMALL: Final = 50
SMALL_BLOCKS: Final = 1_000
ONE_BY_ONE: Final = 100
LATENCY_SECONDS: Final = 0.010
FIRST: Final = 1_000
TIME: Final = 1_700_000_000
TARGETS: Final[Mapping[str, float]] = {
    "full_block_cpu_ms": 100.0,
    "ended_10000_ratio": 1.5,
    "blocks_taken_back": float(STORED_AT_ONCE),
}
"""At most."""
LEAST: Final[Mapping[str, float]] = {"blocks_a_second": 250.0, "times_one_by_one": 5.0, "reorg_agrees": 1.0}

Row = dict[str, float]


class SimulatedNode:
    """Serialized blocks by height, each answer after ten milliseconds; read and checked as a node's are."""

    def __init__(self, blocks: Sequence[tuple[str, bytes]], *, latency: float = LATENCY_SECONDS) -> None:
        self.blocks = list(blocks)
        self.latency = latency
        self.handed_out = FIRST

    async def tip(self) -> Tip:
        await asyncio.sleep(self.latency)
        height = Height(FIRST + len(self.blocks) - 1)
        return Tip(height, self.blocks[-1][0], UnixTime(TIME), UnixTime(TIME), height)

    async def hash_at(self, height: Height) -> str | None:
        await asyncio.sleep(self.latency)
        number = height - FIRST
        return self.blocks[number][0] if 0 <= number < len(self.blocks) else None

    async def block_at(self, height: Height) -> Block | None:
        await asyncio.sleep(self.latency)
        number = height - FIRST
        if not 0 <= number < len(self.blocks):
            return None
        block_hash, raw = self.blocks[number]
        served = Served("node", raw, block_hash, height, UnixTime(TIME))
        block = await checked_block(served, Network.REGTEST)
        self.handed_out = max(self.handed_out, height)
        return block


def transactions(count: int, dice: random.Random) -> list[Transaction]:
    """Payments with one to three inputs and outputs, signed with something."""
    return [
        Transaction(
            tuple(
                TxIn(OutPoint(dice.randbytes(32), dice.randrange(4)), 0xFFFFFFFD, (dice.randbytes(64),))
                for _ in range(dice.choice((1, 1, 2, 3)))
            ),
            tuple(TxOut(Sats(1_000), b"\x51\x20" + dice.randbytes(32)) for _ in range(dice.choice((1, 2, 2, 3)))),
        )
        for _ in range(count)
    ]


def chain_of(count: int, size: int, dice: random.Random, previous: str = "00" * 32) -> list[tuple[str, bytes]]:
    """So many serialized blocks of so many transactions, each after the one before."""
    blocks: list[tuple[str, bytes]] = []
    for number in range(count):
        paid = transactions(size, dice)
        blocks.append(mined([coinbase(FIRST + number, *paid), *paid], time=TIME, previous=previous))
        previous = blocks[-1][0]
    return blocks


@asynccontextmanager
async def opened(path: Path | None = None) -> AsyncGenerator[SqliteStore]:
    """A database of the product."""
    with tempfile.TemporaryDirectory() as directory:
        store = await SqliteStore.open(path or Path(directory) / "coordinator.db")
        try:
            yield store
        finally:
            await store.close()


async def competitions(store: SqliteStore, first: int, count: int, *, ended: bool) -> None:
    """Competitions with their watches, all of them searched for."""
    if not count:
        return
    dice = random.Random(first)
    terminal = TIME if ended else None
    names = [f"01926f3a-0000-7000-8000-{number:012x}" for number in range(first, first + count)]
    async with store.write_connection() as connection:
        rows = [{"id": name, "created_at": 0, "rev": 0, "terminal_at": terminal} for name in names]
        await connection.execute(insert(t.lane), rows)
        for number in range(WATCHES_EACH):
            kind, suffix = ("t", "") if number % 3 == 0 else ("o", ":1")
            row = {"keytype": kind, "backfilled": 1, "since_height": FIRST, "next_height": FIRST}
            keys = [dice.randbytes(32).hex() + suffix for _ in names]
            await connection.execute(
                insert(t.watch), [{**row, "key": key, "lane": name} for key, name in zip(keys, names, strict=True)]
            )


async def watch(store: SqliteStore, lane: str, blocks: Sequence[tuple[str, bytes]], some: int) -> None:
    """A competition looks for a spend by the last transaction of every so-manieth block, in what is to come."""
    keys: dict[Watch, Height] = {}
    for number, (block_hash, raw) in enumerate(blocks):
        if number % some == 0:
            served = Served("node", raw, block_hash, Height(FIRST + number), UnixTime(TIME))
            found = (await checked_block(served, Network.REGTEST)).transactions[-1]
            keys[Watch("o", str(found.spends[0]))] = Height(FIRST + 1 + number)
    async with store.write() as tx:
        if await tx.load(lane) is None:
            await tx.create_lane(lane, b"{}", "created", UnixTime(0))
        await tx.set_watches(lane, keys)


def loop_over(store: SqliteStore, node: SimulatedNode) -> ChainLoop:
    """The product's loop."""
    clock = Clockwork(Clock(), store, chain_time=True)
    return ChainLoop(store, node, clock, Wakeups(), poll_seconds=0.0)  # type: ignore[arg-type]


async def started(store: SqliteStore, node: SimulatedNode) -> ChainLoop:
    """A loop whose cursor is at the first block of the node."""
    loop, blocks = loop_over(store, node), node.blocks
    if await store.tip() is None:
        node.blocks = blocks[:1]
        await loop.start()
        node.blocks = blocks
    else:
        await loop.start()
    return loop


async def follow(loop: ChainLoop) -> int:
    """Steps until there is nothing to do; their number."""
    steps = 0
    while await loop.step():
        steps += 1
    return steps


async def block() -> Row:
    """Parse, check, look up, and write the hits and news of 500 competitions, for one full block."""
    [(block_hash, raw)] = chain_of(1, FULL, random.Random(1))
    served = Served("node", raw, block_hash, Height(FIRST), UnixTime(TIME))
    node = SimulatedNode([chain_of(1, 1, random.Random(0))[0]], latency=0.0)
    async with opened() as store:
        await competitions(store, 0, COMPETITIONS, ended=False)
        loop = await started(store, node)
        await hit_lanes(store, (await checked_block(served, Network.REGTEST)).transactions)
        began, worked = time.perf_counter(), time.process_time()
        found = await checked_block(served, Network.REGTEST)
        parsed = time.perf_counter()
        async with store.write() as tx:
            lanes = await tx.watching(*map(list, keys_of(found)))
            searched, worked = time.perf_counter(), time.process_time() - worked
        assert len(lanes) == HITS
        fields: dict[str, Any] = {field: getattr(found, field) for field in found.__struct_fields__}
        following = Block(**{**fields, "height": Height(FIRST + 1)})
        storing = time.process_time()
        await loop._forward([following])
        storing = time.process_time() - storing
        assert await hits(store) == HITS
    return {
        "full_block_cpu_ms": 1_000 * worked,
        "full_block_ms": 1_000 * (searched - began),
        "parse_ms": 1_000 * (parsed - began),
        "look_up_ms": 1_000 * (searched - parsed),
        "store_500_hits_cpu_ms": 1_000 * storing,
        "watches": float(COMPETITIONS * WATCHES_EACH + HITS),
    }


async def hit_lanes(store: SqliteStore, transactions: Sequence[BlockTransaction]) -> None:
    """As many competitions as hits are wanted, each watching one of these transactions."""
    async with store.write() as tx:
        for number in range(HITS):
            lane = f"hit {number}"
            await tx.create_lane(lane, b"{}", "created", UnixTime(0))
            await tx.set_watches(lane, {Watch("t", transactions[number * 7].txid): Height(FIRST + 1)})


async def ended() -> Row:
    """What a block costs in all, from the question to the commit, with more and more behind us."""
    row: Row = {}
    async with opened() as store:
        await competitions(store, 0, LIVE, ended=False)
        blocks, known = chain_of(61, 400, random.Random(2)), LIVE
        node = SimulatedNode(blocks[:1], latency=0.0)
        loop = await started(store, node)
        for over in (0, 1_000, 10_000):
            await competitions(store, known, over - known + LIVE, ended=True)
            known = over + LIVE
            times: list[float] = []
            for _ in range(20):
                node.blocks.append(blocks[len(node.blocks)])
                began = time.process_time()
                assert await loop.step()
                times.append(time.process_time() - began)
            row[f"block_cpu_ms_{over}_ended"] = 1_000 * median(times)
    row["ended_10000_ratio"] = row["block_cpu_ms_10000_ended"] / row["block_cpu_ms_0_ended"]
    return row


async def catch_up() -> Row:
    """The same blocks one after the other in a transaction each, and as the product does it."""
    blocks = chain_of(SMALL_BLOCKS + 1, SMALL, random.Random(3))
    async with opened() as store:
        node = SimulatedNode(blocks)
        loop = await started(store, node)
        await watch(store, "lane", blocks[1:], 7)
        began = time.perf_counter()
        for height in range(FIRST + 1, FIRST + 1 + ONE_BY_ONE):
            found = await node.block_at(Height(height))
            assert found is not None
            await loop._forward([found])
        slow = ONE_BY_ONE / (time.perf_counter() - began)
    async with opened() as store:
        loop = await started(store, SimulatedNode(blocks))
        await watch(store, "lane", blocks[1:], 7)
        began, worked = time.perf_counter(), time.process_time()
        await follow(loop)
        fast, worked = SMALL_BLOCKS / (time.perf_counter() - began), time.process_time() - worked
        assert await hits(store) == len(range(0, SMALL_BLOCKS, 7))
    return {
        "blocks_a_second": fast,
        "one_by_one_a_second": slow,
        "times_one_by_one": fast / slow,
        "cpu_ms_a_block": 1_000 * worked / SMALL_BLOCKS,
    }


async def hits(store: SqliteStore) -> int:
    async with store.read_connection() as connection:
        return int((await connection.exec_driver_sql("SELECT count(*) FROM chain_hit")).scalar_one())


async def reorg() -> Row:
    """Six deep; the stored chain is the node's afterwards, and its hits are those of the new branch."""
    dice = random.Random(4)
    old = chain_of(60, SMALL, dice)
    new = old[:54] + chain_of(7, SMALL, dice, previous=old[53][0])
    async with opened() as store:
        node = SimulatedNode(old)
        loop = await started(store, node)
        await watch(store, "lane", old[1:], 5)
        await watch(store, "lane", new[54:], 2)
        await follow(loop)
        node.blocks = new
        began = time.perf_counter()
        await follow(loop)
        took = time.perf_counter() - began
        async with store.read_connection() as connection:
            stored = [
                row[0] for row in await connection.exec_driver_sql("SELECT hash FROM chain_block ORDER BY height")
            ]
        agrees = stored == [block_hash for block_hash, _ in new] and await hits(store) == len(range(1, 54, 5)) + 4
    return {"reorg_ms": 1_000 * took, "reorg_agrees": float(agrees)}


async def kill() -> Row:
    """A process that catches up is killed at some moment; what it was given and had not stored is done again."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "coordinator.db"
        arguments = [sys.executable, "-m", "tests.bench.chain_bench", "--child", str(path)]
        child = await asyncio.create_subprocess_exec(*arguments, stdout=asyncio.subprocess.PIPE)
        assert child.stdout is not None
        at = random.randrange(FIRST + 200, FIRST + 600)
        given = 0
        while given < at:
            given = int(await child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        rest = (await child.stdout.read()).split()
        await child.wait()
        given = int(rest[-1]) if rest else given
        async with opened(path) as store:
            tip = await store.tip()
            assert tip is not None
            node = SimulatedNode(chain_of(SMALL_BLOCKS + 1, 5, random.Random(5)), latency=0.0)
            loop = await started(store, node)
            await follow(loop)
            last = await store.tip()
            assert last is not None
            assert last.height == FIRST + SMALL_BLOCKS
    return {"killed_at": float(given), "blocks_taken_back": float(given - tip.height)}


async def _child(path: Path) -> None:
    """Catch up, and say after each step how far it came before what it was given is stored."""
    node = SimulatedNode(chain_of(SMALL_BLOCKS + 1, 5, random.Random(5)))
    store = await SqliteStore.open(path)
    loop = await started(store, node)
    forward = loop._forward

    async def telling(blocks: Sequence[Block]) -> None:
        print(blocks[-1].height, flush=True)
        await forward(blocks)

    loop._forward = telling  # type: ignore[method-assign]
    await follow(loop)


FIGURES: Final[Mapping[str, Callable[[], Awaitable[Row]]]] = {
    "block": block,
    "ended": ended,
    "catch_up": catch_up,
    "reorg": reorg,
    "kill": kill,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; with --strict give 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="./dev bench chain", description="What blocks cost.")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="measurements of each figure (default 3)")
    parser.add_argument("--strict", action="store_true", help="end with status 1 if a target is missed")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("figures", nargs="*", choices=[[], *FIGURES], metavar="figure", help=", ".join(FIGURES))
    options = parser.parse_args(arguments)
    if options.child is not None:
        asyncio.run(_child(options.child))
        return 0
    measured: dict[str, dict[str, float]] = {}
    for name in options.figures or FIGURES:
        print(f"measuring {name}", file=sys.stderr)
        rows = [asyncio.run(FIGURES[name]()) for _ in range(options.repeat)]
        measured |= {key: _summary(key, [row[key] for row in rows]) for key in rows[0]}
    print("\n".join(map(_line, measured, measured.values())))
    print(json.dumps({"window": LARGEST_WINDOW, "figures": measured}))
    return int(options.strict and not all(_met(key, found["best"]) for key, found in measured.items()))


def _summary(key: str, values: Sequence[float]) -> dict[str, float]:
    best = max(values) if key in LEAST or key == "blocks_taken_back" else min(values)
    return {"best": round(best, 3), "median": round(median(values), 3)}


def _met(key: str, value: float) -> bool:
    return value <= TARGETS[key] if key in TARGETS else value >= LEAST.get(key, value)


def _line(key: str, found: Mapping[str, float]) -> str:
    target = ""
    if key in TARGETS or key in LEAST:
        bound = f"at most {TARGETS[key]:g}" if key in TARGETS else f"at least {LEAST[key]:g}"
        target = f"  ({bound}: {'met' if _met(key, found['best']) else 'MISSED'})"
    return f"{key:<28}{found['best']:>12.2f}{found['median']:>12.2f}{target}"


if __name__ == "__main__":
    sys.exit(main())
