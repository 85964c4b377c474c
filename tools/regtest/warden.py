"""Ends the daemons of a process that died without doing so. Runs as a child of its own file.

Its standard input is a pipe from the rig: "+PID" and "-PID" lines say who runs, its end says that the rig is gone,
however it went. A daemon's pid cannot be reused before the rig reaped it, and the rig says so at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class Warden:
    """The rig's end of the pipe."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603  (this file)
            [sys.executable, str(Path(__file__))], stdin=subprocess.PIPE, start_new_session=True
        )

    def watch(self, pid: int) -> None:
        """From now on `pid` ends with us."""
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """`pid` has ended, or may outlive us."""
        self._tell(f"-{pid}")

    def close(self) -> None:
        """End the warden, and with it whatever it still watches."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def main() -> None:
    """Read until the pipe ends, then terminate who is left, youngest first: LND before its bitcoind."""
    running: dict[int, None] = {}
    for line in sys.stdin:
        pid = int(line[1:])
        if line[0] == "+":
            running[pid] = None
        else:
            running.pop(pid, None)
    for pid in reversed(running):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


if __name__ == "__main__":
    main()
