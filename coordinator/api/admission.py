"""How much one address and one key may ask for: token buckets in memory, of a number that does not grow."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from coordinator_core.errors import CoreError, Fault, InvalidInput

COST: Final = "cost"
"""Name of a route's option: how many plain reads it weighs."""
MONEY: Final = {COST: 5}
"""For routes that write, sign, or make another service work."""
IPV6_SITE: Final = 64
"""Bits of an IPv6 address that name its holder: the rest is the holder's to choose."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class TooManyRequests(CoreError):
    """An address or a key asks for more than its share. Nothing was done; try again after `seconds`."""

    code = "requests.too_many"
    fault = Fault.PLAYER

    def __init__(self, who: str, seconds: int) -> None:
        super().__init__(f"too many requests of this {who}: try again in {seconds} s")
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class Rate:
    """`burst` plain reads at once, `per_second` of them for ever."""

    per_second: float
    burst: int

    def __post_init__(self) -> None:
        if not (0 < self.per_second < math.inf and self.burst >= MONEY[COST]):
            raise InvalidInput(
                "limits",
                f"{self.per_second} a second with a burst of {self.burst} lets nobody in",
                f"a rate above 0 and a burst of at least {MONEY[COST]}",
                fault=Fault.COORDINATOR,
            )


@dataclass(frozen=True, slots=True)
class Limits:
    """What the operator set."""

    address: Rate = Rate(per_second=50.0, burst=1_000)
    player: Rate = Rate(per_second=5.0, burst=200)
    tracked: int = 20_000
    """Addresses and keys that are remembered, each; those not seen for longest are forgotten first."""
    trusted_proxies: Sequence[str] = ()
    """Addresses or networks whose X-Forwarded-For is believed."""


class Buckets:
    """One bucket for each key, the `tracked` used last. `clock` gives seconds that never go back.

    A bucket that is full again says as much as none, and is forgotten.
    """

    def __init__(self, rate: Rate, tracked: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._tracked = tracked
        self._clock = clock
        self._full_after = rate.burst / rate.per_second
        self._levels: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, key: Hashable, cost: int) -> int:
        """Take `cost` tokens: 0 if they were there, otherwise the seconds until they are, and nothing is taken."""
        now = self._clock()
        tokens, since = self._levels.pop(key, (float(self._rate.burst), now))
        tokens = min(self._rate.burst, tokens + (now - since) * self._rate.per_second)
        missing = cost - tokens
        self._levels[key] = (tokens if missing > 0 else tokens - cost, now)
        self._forget(now)
        return math.ceil(missing / self._rate.per_second) if missing > 0 else 0

    def _forget(self, now: float) -> None:
        # Who was seen last stands last, so the first one that stays ends the search.
        while self._levels:
            key, (_, since) = next(iter(self._levels.items()))
            if len(self._levels) <= self._tracked and now - since < self._full_after:
                return
            del self._levels[key]


class Admission:
    """Judges requests by the address they come from, then by the key that signed them."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        """Raises InvalidInput for a proxy that is no address."""
        self._addresses = Buckets(limits.address, limits.tracked, clock)
        self._players = Buckets(limits.player, limits.tracked, clock)
        self._proxies = tuple(_network(text) for text in limits.trusted_proxies)

    def guard(self, connection: ASGIConnection[Any, Any, Any, Any], route: BaseRouteHandler) -> None:
        """Guard of routes, before a body is read or a signature looked at. Raises TooManyRequests."""
        self._take(self._addresses, "address", self.client(connection), route.opt)

    def player(self, key: bytes, options: dict[str, Any]) -> None:
        """Charge the key that signed a request. Raises TooManyRequests."""
        self._take(self._players, "key", key, options)

    def _take(self, buckets: Buckets, who: str, key: Hashable, options: dict[str, Any]) -> None:
        wait = buckets.take(key, options.get(COST, 1))
        if wait:
            raise TooManyRequests(who, wait)

    def client(self, connection: ASGIConnection[Any, Any, Any, Any]) -> str:
        """Who asks, as far as an address tells: the peer, or whom a trusted proxy names. Empty for a local socket."""
        peer = connection.client
        if peer is None:
            return ""
        named = connection.headers.getall("x-forwarded-for", [])
        # The right end was written by the proxy next to us; what stands further left anybody may have invented.
        hops = [hop for line in named for hop in line.split(",")]
        current = _address(peer.host)
        while current is not None and hops and self._is_proxy(current):
            further = _address(hops.pop())
            if further is None:
                break
            current = further
        return peer.host if current is None else _site(current)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._proxies)


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        raise InvalidInput(
            "limits.trusted_proxies",
            f"{text} is no address or network",
            'such as "127.0.0.1" or "10.0.0.0/8"',
            fault=Fault.COORDINATOR,
        ) from None


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _site(address: Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address.packed, IPV6_SITE), strict=False))
