"""Work beside the requests: keygen completion and signing, in a few threads, so that HTTP stays responsive.

The curve library releases the interpreter lock, so threads run in parallel and keys stay in one address space.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_log = logging.getLogger(__name__)


class Jobs:
    """Runs functions in worker threads, at once or after a delay."""

    def __init__(self, workers: int = 2) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="enclave")
        self._lock = threading.Lock()
        self._timers: set[threading.Timer] = set()
        self._closed = False

    def submit(self, work: Callable[[], None], delay_seconds: float = 0.0) -> None:
        """Queue work; after close() it is dropped, and found again in the database at the next start."""
        with self._lock:
            if self._closed:
                return
            if delay_seconds <= 0:
                self._executor.submit(_run, work)
                return
            timer = threading.Timer(delay_seconds, lambda: self._fire(timer, work))
            timer.daemon = True
            self._timers.add(timer)
            timer.start()

    def _fire(self, timer: threading.Timer, work: Callable[[], None]) -> None:
        with self._lock:
            self._timers.discard(timer)
        self.submit(work)

    def close(self) -> None:
        """Stop timers, drop what has not begun, wait for what runs."""
        with self._lock:
            self._closed = True
            for timer in self._timers:
                timer.cancel()
            self._timers.clear()
        self._executor.shutdown(wait=True, cancel_futures=True)


def _run(work: Callable[[], None]) -> None:
    try:
        work()
    except Exception:
        _log.exception("a job of the enclaves failed")
