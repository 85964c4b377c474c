"""`python -m coordinator.embedded.node --data-dir DIR`: the node as a process of its own.

Prints one JSON line when it listens: {"service": "node", "url", "esplora", "rpc_cookie_file"}. Ends cleanly on
SIGTERM, SIGINT and the RPC `stop`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from coordinator_core.errors import CoreError

DEFAULT_ESTIMATE_SAT_PER_KVB: Final = 2_000
PARENT_POLL_SECONDS: Final = 0.5


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m coordinator.embedded.node", description="A regtest node.")
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--network", default="regtest", help="only regtest is served")
    parser.add_argument("--rpc-port", type=int, default=0)
    parser.add_argument("--esplora-port", type=int, default=0)
    parser.add_argument("--genesis-time", type=int, help="node time at the start of a new chain; default: 30 days ago")
    parser.add_argument("--frozen", action="store_true", help="a new chain's time moves only with mining")
    parser.add_argument("--block-interval-seconds", type=int, default=600, help="time that passes with each block")
    parser.add_argument("--bootstrap-blocks", type=int, default=150)
    parser.add_argument("--seed", default="embedded", help="of the faucet's key")
    parser.add_argument("--fee-estimate-sat-per-kvb", type=int, default=DEFAULT_ESTIMATE_SAT_PER_KVB, help="0: none")
    parser.add_argument("--exit-with-parent", action="store_true")
    arguments = parser.parse_args()
    if arguments.network != "regtest":
        parser.error(f"this node serves regtest only, not {arguments.network}")
    if arguments.block_interval_seconds < 0 or not 0 <= arguments.bootstrap_blocks <= 10_000:
        parser.error("--block-interval-seconds and --bootstrap-blocks (up to 10000) may not be negative")
    return arguments


def _stop_with_parent(loop: asyncio.AbstractEventLoop, parent: int, stop: Callable[[], None]) -> None:
    """Call `stop` once the process that started this one is gone."""
    if os.getppid() != parent:
        stop()
    else:
        loop.call_later(PARENT_POLL_SECONDS, _stop_with_parent, loop, parent, stop)


async def _run(arguments: argparse.Namespace, parent: int) -> None:
    # Imported here so that a missing validation engine is told in one sentence.
    from coordinator.embedded.node.node import EmbeddedNode, NodeOptions
    from coordinator.embedded.node.server import Cookie, NodeServers, listen

    options = NodeOptions(
        start_time=arguments.genesis_time,
        frozen=arguments.frozen,
        block_interval_seconds=arguments.block_interval_seconds,
        bootstrap_blocks=arguments.bootstrap_blocks,
        seed=arguments.seed,
    )
    with (
        EmbeddedNode(arguments.data_dir, options) as node,
        listen(arguments.rpc_port) as rpc,
        listen(arguments.esplora_port) as esplora,
    ):
        if node.settings.estimates is None and arguments.fee_estimate_sat_per_kvb > 0:
            node.set_estimates({1: arguments.fee_estimate_sat_per_kvb})
        cookie = Cookie(arguments.data_dir / ".cookie")
        servers = NodeServers(node, cookie)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, servers.stop)
        if arguments.exit_with_parent:
            _stop_with_parent(loop, parent, servers.stop)
        line = {
            "service": "node",
            "url": f"http://127.0.0.1:{rpc.getsockname()[1]}",
            "esplora": f"http://127.0.0.1:{esplora.getsockname()[1]}",
            "rpc_cookie_file": str(cookie.path.absolute()),
        }
        try:
            await servers.serve(rpc, esplora, lambda: print(json.dumps(line), flush=True))
        finally:
            cookie.remove()


def main() -> int:
    """Run the node; 1 with one sentence on stderr when it cannot start."""
    # Read before anything slow happens: a parent that is gone by then would never be missed.
    parent = os.getppid()
    arguments = _arguments()
    try:
        asyncio.run(_run(arguments, parent))
    except (CoreError, OSError) as failure:
        print(f"embedded node: {failure}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
