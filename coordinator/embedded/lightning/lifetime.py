"""Ending with the parent process: the kernel's signal on Linux, elsewhere a look at the parent now and then."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_POLL_SECONDS: Final = 0.5


async def end_with_parent(stop: Callable[[], object]) -> None:
    """Call `stop` once the parent is gone; on Linux SIGTERM comes at once besides."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    while True:
        if os.getppid() != parent:
            stop()
            return
        await asyncio.sleep(_POLL_SECONDS)
