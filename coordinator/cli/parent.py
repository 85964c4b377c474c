"""Ending with the parent process, for a coordinator that a demo or a test started."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

POLL_SECONDS: Final = 0.25


async def end_with_parent(stop: Callable[[], object], parent: int) -> None:
    """Call `stop` once process `parent` is not our parent any more.

    By looking, not by the kernel's signal (PR_SET_PDEATHSIG): that one comes when the thread that started us ends, and
    whoever starts us from a pool of threads goes on without it.
    """
    while os.getppid() == parent:  # noqa: ASYNC110  (nothing tells an event of it)
        await asyncio.sleep(POLL_SECONDS)
    stop()
