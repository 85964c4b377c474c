"""Child processes: each prints one JSON line when it is ready, ends on SIGTERM, and never outlives us."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordinator_core.errors import CoreError, Fault

START_SECONDS = 60.0
STOP_SECONDS = 15.0


class DidNotStart(CoreError):
    """A child process ended, or was silent, before it was ready."""

    code = "stack.did_not_start"

    def __init__(self, name: str, words: str) -> None:
        super().__init__(f"{name} did not start: {words}")
        self.fault = Fault.NODE


@dataclass(slots=True)
class Child:
    """A running service and what it said when it was ready."""

    name: str
    process: subprocess.Popen[str]
    ready: dict[str, Any]
    log: Path

    def stop(self) -> int:
        """SIGTERM, then SIGKILL after a while; the exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self._ended()

    def kill(self) -> None:
        """SIGKILL: what a crash looks like."""
        self.process.send_signal(signal.SIGKILL)
        self._ended()

    def _ended(self) -> int:
        code = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


def start(name: str, arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Child:
    """Start `python -m ARGUMENTS` and wait for its ready line. Raises DidNotStart."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as errors:
        process = subprocess.Popen(  # noqa: S603  (our own modules)
            [sys.executable, "-m", *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    child = Child(name, process, {}, log)
    try:
        child.ready = _ready_line(name, process, log)
    except BaseException:
        child.kill()
        raise
    return child


def _ready_line(name: str, process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    if process.stdout is None:
        raise DidNotStart(name, "it has no output")
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if not line:
            raise DidNotStart(name, last_words(log))
        if line.startswith("{"):
            return json.loads(line)
    raise DidNotStart(name, f"it was silent for {START_SECONDS:g} s")


def last_words(log: Path) -> str:
    """The last line of a log."""
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended without a word"


def free_port() -> int:
    """A loopback port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
