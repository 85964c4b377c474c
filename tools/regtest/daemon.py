"""One child process with its folder and its log: started, stopped, killed, started again."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import httpx

from tools.regtest.warden import Warden

T = TypeVar("T")

START_SECONDS = 90.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.02
TAIL_BYTES = 6_000


class DidNotStart(Exception):
    """A daemon ended, or was not ready in time; its last words are in the message."""


def until(question: Callable[[], T], what: str, seconds: float = START_SECONDS) -> T:
    """The first true answer. No connection, or no certificate yet, is a no. Raises TimeoutError naming `what`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with suppress(OSError, httpx.TransportError):
            if answer := question():
                return answer
        time.sleep(POLL_SECONDS)
    raise TimeoutError(what)


class Daemon(ABC):
    """What bitcoind and LND have in common. Not safe for two threads that start and stop the same daemon."""

    def __init__(self, name: str, folder: Path, warden: Warden) -> None:
        self.name = name
        self.folder = folder
        self.log = folder / "out.log"
        """What it printed over all its starts."""
        self._warden = warden
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Program and arguments of the next start."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it answers as a running daemon does. May raise what `until` takes for a no."""

    @property
    def pid(self) -> int:
        """Its process id. Raises DidNotStart when it does not run."""
        if self._process is None or self._process.poll() is not None:
            raise DidNotStart(f"{self.name} does not run:\n{self.tail()}")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def launch(self) -> None:
        """Start the process and return at once."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            # A session of its own: Ctrl-C is for the test run, which then stops its daemons in order.
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, start_new_session=True)  # noqa: S603
        self._warden.watch(self._process.pid)

    def wait_ready(self) -> None:
        """Wait until it answers. Raises DidNotStart."""
        try:
            until(lambda: bool(self.pid) and self.is_ready(), self.name)
        except TimeoutError as error:
            raise DidNotStart(f"{self.name} is not ready after {START_SECONDS:g} s:\n{self.tail()}") from error

    def start(self) -> None:
        """Start and wait until it answers. Raises DidNotStart."""
        self.launch()
        self.wait_ready()

    def stop(self) -> None:
        """SIGTERM, and wait for the end. Nothing when it does not run."""
        if self._process is not None:
            self._process.terminate()
            self._reap()

    def kill(self) -> None:
        """SIGKILL: what a crash looks like."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def detach(self) -> int:
        """Let the process outlive this one; its pid."""
        pid = self.pid
        self._warden.forget(pid)
        self._process = None
        return pid

    def tail(self, size: int = TAIL_BYTES) -> str:
        """The end of its log."""
        return self.log.read_bytes()[-size:].decode(errors="replace") if self.log.exists() else ""

    def _reap(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._warden.forget(process.pid)
        self._disconnect()

    @abstractmethod
    def _disconnect(self) -> None:
        """Drop connections to the process that ended."""
