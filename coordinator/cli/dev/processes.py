"""Processes that were started earlier, recognised by number and start time: a number alone is given again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

_PROC: Final = Path("/proc")
_POLL_SECONDS: Final = 0.05
_STATE, _START_TIME = 0, 19
"""Fields of /proc/PID/stat, counted behind the command's name."""


class Process(Struct, frozen=True, kw_only=True):
    """One process of this machine, of any parent."""

    pid: int
    started: str
    """As the system tells it; compared, never read."""

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """A process that runs now; None when there is none of this number."""
        started = _start_time(pid)
        return None if started is None else cls(pid=pid, started=started)

    def runs(self) -> bool:
        """True until it has ended, whatever has its number then."""
        return _start_time(self.pid) == self.started

    def stop(self, seconds: float) -> bool:
        """SIGTERM, and SIGKILL when it has not ended after `seconds`; True when it ended by itself."""
        self._signal(signal.SIGTERM)
        if self._ends_within(seconds):
            return True
        self._signal(signal.SIGKILL)
        self._ends_within(seconds)
        return False

    def _signal(self, number: signal.Signals) -> None:
        if self.runs():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def _ends_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.runs():
            if time.monotonic() >= deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def _start_time(pid: int) -> str | None:
    """None for a process that ended, a zombie included."""
    return _from_proc(pid) if (_PROC / "self" / "stat").exists() else _from_ps(pid)


def _from_proc(pid: int) -> str | None:
    try:
        # The name may hold spaces and brackets; the last bracket ends it.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE] in "ZX" else f"{boot} {fields[_START_TIME]}"


def _from_ps(pid: int) -> str | None:
    asked = subprocess.run(  # noqa: S603  (a number that we wrote)
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, started = asked.stdout.strip().partition(" ")
    return None if not started or state.startswith("Z") else started.strip()
