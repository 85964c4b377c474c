"""Token buckets for an address and for all (keymeld section 2.1)."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from litestar.types import ASGIApp, Receive, Scope, Send

from coordinator.embedded.keymeld.errors import RateLimited

_LIMITED_READS = ("/public-key", "/capabilities")


@dataclass(frozen=True)
class RateLimits:
    """Burst in requests, rates in requests a second."""

    address_burst: int = 512
    address_rate: float = 30.0
    global_burst: int = 2048
    global_rate: float = 120.0
    tracked_addresses: int = 8192


class _Bucket:
    __slots__ = ("_rate", "_size", "_time", "_tokens")

    def __init__(self, size: int, rate: float, now: float) -> None:
        self._size, self._rate, self._tokens, self._time = size, rate, float(size), now

    def wait(self, now: float) -> float:
        """Seconds until a token is there; 0 if there is one now."""
        self._tokens = min(self._size, self._tokens + (now - self._time) * self._rate)
        self._time = now
        return 0.0 if self._tokens >= 1 else (1 - self._tokens) / self._rate

    def take(self) -> None:
        self._tokens -= 1


class RateLimiter:
    """Decides about one request at a time; not thread-safe, lives on the event loop."""

    def __init__(self, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._all = _Bucket(limits.global_burst, limits.global_rate, clock())
        self._addresses: OrderedDict[str, _Bucket] = OrderedDict()

    def retry_after(self, address: str) -> int:
        """0 and a token taken, or whole seconds to wait."""
        now = self._clock()
        own = self._bucket(address, now)
        wait = max(own.wait(now), self._all.wait(now))
        if wait > 0:
            return max(1, math.ceil(wait))
        own.take()
        self._all.take()
        return 0

    def _bucket(self, address: str, now: float) -> _Bucket:
        bucket = self._addresses.pop(address, None)
        if bucket is None:
            bucket = _Bucket(self._limits.address_burst, self._limits.address_rate, now)
            if len(self._addresses) >= self._limits.tracked_addresses:
                self._addresses.popitem(last=False)
        self._addresses[address] = bucket
        return bucket


def is_limited(method: str, path: str) -> bool:
    """Everything that is not a GET, and the two reads that cost something."""
    return method != "GET" or path.endswith(_LIMITED_READS)


def rate_limit(limiter: RateLimiter) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware that raises RateLimited."""

    def wrap(app: ASGIApp) -> ASGIApp:
        async def limited(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and is_limited(scope["method"], scope["path"]):
                client = scope.get("client")
                seconds = limiter.retry_after(client[0] if client else "")
                if seconds:
                    raise RateLimited(seconds)
            await app(scope, receive, send)

        return limited

    return wrap
