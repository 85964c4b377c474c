"""The coordinator as the harness runs it: one process that has everything imported, and forks a life at each order.

Orders come as JSON lines on stdin: {"arming": Arming or null}. Words on stdout: {"pid"}, the coordinator's own ready
line, {"death"} of a life that killed itself, {"ended": wait status}. With the end of stdin everything ends.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import select
import signal
import sys
import traceback
from pathlib import Path
from typing import Final

import msgspec
import structlog
from msgspec import Struct

from coordinator.cli.serving import serve
from coordinator.config.settings import load_settings
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError
from coordinator_core.secret import Secret
from tests.harness import caches
from tests.harness.boundaries import Arming, DyingObserver
from tests.harness.recording import RecordingObserver

LOOK_SECONDS: Final = 0.02
EXIT_SERVICE_AWAY: Final = 1
EXIT_REFUSED: Final = 2
"""For a reason that the next start will find again."""
PASSPHRASE: Final = Secret(b"regtest only")


class Order(Struct, frozen=True):
    """One more life."""

    arming: Arming | None = None
    recording: str = ""
    """A file in which it writes down what it did for each duty."""
    full_caches: bool = False
    """Whether its caches are filled before it starts."""


def main() -> int:
    """Wait for orders until stdin ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", type=Path, required=True)
    settings = parser.parse_args().settings
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    _say({"service": "lives"})
    while line := os.read(0, 65_536):
        pid = _fork(settings, msgspec.json.decode(line, type=Order))
        _say({"pid": pid})
        status = _until_ended(pid)
        if status is None:
            return 0
        _say({"ended": status})
    return 0


def _say(words: dict[str, object]) -> None:
    os.write(1, msgspec.json.encode(words) + b"\n")


def _fork(settings: Path, order: Order) -> int:
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        code = _live(settings, order)
    except BaseException:
        # Nothing may unwind into the loop that forks; what happened is for the log.
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _observer(order: Order) -> EngineObserver:
    if order.arming is not None:
        return DyingObserver(order.arming, 1)
    return RecordingObserver(Path(order.recording)) if order.recording else UNOBSERVED


def _live(path: Path, order: Order) -> int:
    observer = _observer(order)
    if order.full_caches:
        caches.fill()
    try:
        return asyncio.run(
            serve(load_settings(path), PASSPHRASE, ready_line=True, parent=os.getppid(), observer=observer)
        )
    except (CoreError, PortError) as error:
        print(f"coordinator: {error}", file=sys.stderr, flush=True)
        return EXIT_SERVICE_AWAY if isinstance(error, PortError) else EXIT_REFUSED


def _until_ended(pid: int) -> int | None:
    """The wait status of a life; None when whoever gives orders has gone, and the life with it."""
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return status
        if select.select([0], [], [], LOOK_SECONDS)[0]:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None


if __name__ == "__main__":
    sys.exit(main())
