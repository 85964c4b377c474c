"""`python -m coordinator.embedded.oracle --data-dir DIR --port 0`"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from coordinator.embedded.oracle.clock import ClockUnavailable, NodeTime
from coordinator.embedded.oracle.key import KeyFileError, KeyMismatch
from coordinator.embedded.oracle.npub import parse_public_key
from coordinator.embedded.oracle.process import MainnetRefused, Settings, end_with_parent, run


def main(arguments: list[str] | None = None) -> int:
    """Start from the command line; returns the exit status."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="oracle: %(message)s")
    if options.exit_with_parent:
        end_with_parent()
    try:
        asyncio.run(run(_settings(options)))
    except (KeyFileError, KeyMismatch, MainnetRefused, ClockUnavailable, OSError) as error:
        sys.stderr.write(f"oracle: {error}\n")
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m coordinator.embedded.oracle",
        description="A noaa-oracle 2.x over scripted or generated weather, for test networks.",
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="directory of database and key file")
    parser.add_argument("--port", type=int, default=0, help="0 picks a free one")
    parser.add_argument("--seed", default="weather", help="the same seed makes the same weather")
    parser.add_argument("--network", default="regtest", type=_test_network, help="any but mainnet")
    parser.add_argument("--remote-url", help="origin that signed requests name, if not the one printed")
    parser.add_argument("--coordinator-pubkey", action="append", default=[], type=_key, metavar="NPUB|HEX")
    parser.add_argument("--uploader-pubkey", action="append", default=[], type=_key, metavar="NPUB|HEX")
    parser.add_argument("--clock-rpc", metavar="URL", help="follow the tip time of this node")
    parser.add_argument("--clock-rpc-cookie", type=Path, metavar="FILE", help="cookie file of that node")
    parser.add_argument("--tick-seconds", type=_pause, default=1.0, help="pause between background passes")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when the parent process dies")
    return parser


def _settings(options: argparse.Namespace) -> Settings:
    follows = options.clock_rpc is not None
    return Settings(
        data_dir=options.data_dir,
        port=options.port,
        seed=options.seed,
        tick_seconds=options.tick_seconds,
        remote_url=options.remote_url,
        coordinators=tuple(options.coordinator_pubkey),
        uploaders=tuple(options.uploader_pubkey),
        node_time=NodeTime(options.clock_rpc, options.clock_rpc_cookie) if follows else None,
    )


def _test_network(name: str) -> str:
    if name in ("main", "mainnet", "bitcoin"):
        raise argparse.ArgumentTypeError("this oracle makes its weather up: it refuses mainnet")
    return name


def _key(text: str) -> bytes:
    key = parse_public_key(text)
    if key is None:
        raise argparse.ArgumentTypeError("not an npub or 64 hex digits")
    return key


def _pause(text: str) -> float:
    seconds = float(text)
    if not 0.05 <= seconds <= 3_600:
        raise argparse.ArgumentTypeError("between 0.05 and 3600 seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
