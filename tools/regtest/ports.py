"""Ports for daemons that bind them seconds after they were chosen."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from itertools import count
from pathlib import Path

FIRST, NUMBER = 20_000, 12_000
"""Below the ephemeral range: from there a port may become the source port of another daemon's call meanwhile."""
_turn = count(os.getpid() * 64)


def free_port() -> int:
    """A loopback port that is free now and that this process gives only once; each process begins elsewhere."""
    while True:
        port = FIRST + next(_turn) % NUMBER
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def connections(port: int) -> int | None:
    """How many clients a server on this loopback port has; None where the kernel does not show it as Linux does."""
    table = Path("/proc/net/tcp")
    if not table.exists():
        return None
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    # The second column is the server's own end, the fourth the state; 01 is ESTABLISHED.
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" for row in rows)
