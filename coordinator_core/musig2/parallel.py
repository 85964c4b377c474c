"""Work on slices of a list in threads: the native library releases the interpreter lock in every call."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Final

from coordinator_core.errors import InvalidInput

SLICE_MINIMUM: Final = 500
"""Fewer items than this in a slice do not repay a thread."""


def in_slices(work: Callable[[int, int], None], count: int, threads: int) -> None:
    """Call work(start, end) over slices that cover 0 to count. Raises what the first failing slice raised.

    Every slice starts at an even number, as points lie in memory two and two.
    """
    if threads < 1:
        raise InvalidInput("threads", f"is {threads}", "give at least 1")
    slices = min(threads, max(1, count // SLICE_MINIMUM))
    if slices == 1:
        work(0, count)
        return
    bounds = [*(count * number // slices // 2 * 2 for number in range(slices)), count]
    with ThreadPoolExecutor(slices) as pool:
        futures = [pool.submit(work, start, end) for start, end in pairwise(bounds)]
    for future in futures:
        future.result()
