"""Circuit breakers: a service that does not answer is asked by one duty every ten seconds, and by nobody else.

Whether a service is back is found out by those duties and by `dependencies`, which asks it anyway.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import structlog

from coordinator.domain.duties import Channel
from coordinator.engine.components import Dependency
from coordinator.engine.metrics.instruments import Gauge

FAILURES: Final = 5
WINDOW_SECONDS: Final = 60.0
PROBE_SECONDS: Final = 10.0
CHANNELS: Final[Mapping[Dependency, tuple[Channel, ...]]] = {
    Dependency.LIGHTNING: (Channel.LIGHTNING, Channel.WATCH),
    Dependency.CHAIN: (Channel.CHAIN,),
    Dependency.ORACLE: (Channel.ORACLE,),
    Dependency.KEYMELD: (Channel.KEYMELD,),
}
"""Which channels hang on a service."""
BROKEN_BY_SILENCE: Final = frozenset(
    {*(channel for channels in CHANNELS.values() for channel in channels), Channel.NOTIFY}
)
"""Local work is behind no service: it has no breaker."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Silence:
    """A time in which nobody answers or is asked, in seconds from now."""

    began: float
    ends: float
    until: float
    """The same end by the breaker's own clock."""


@dataclass(slots=True)
class Breaker:
    """Of one channel. Moments are seconds that never go back."""

    is_open: bool = False
    _failed: deque[float] = field(default_factory=lambda: deque[float](maxlen=FAILURES))
    _next_probe: float = 0.0
    _covered: float = 0.0
    """Until when its silence was written down."""

    def unanswered(self, now: float) -> bool:
        """An attempt got no answer. True when this opens the breaker."""
        self._failed.append(now)
        if self.is_open or len(self._failed) < FAILURES or now - self._failed[0] > WINDOW_SECONDS:
            return False
        self.is_open, self._next_probe, self._covered = True, now + PROBE_SECONDS, self._failed[0]
        return True

    def answered(self) -> bool:
        """An attempt got an answer, whatever it said. True when this closes the breaker."""
        was, self.is_open = self.is_open, False
        self._failed.clear()
        return was

    def lets_probe(self, now: float) -> bool:
        """Whether an open breaker lets one duty through now."""
        return now >= self._next_probe

    def silence(self, now: float) -> Silence | None:
        """How long nobody answers or is asked; None when that is written down already."""
        if not self.is_open or self._next_probe <= self._covered:
            return None
        return Silence(self._covered - now, self._next_probe - now, self._next_probe)

    def covered(self, silence: Silence) -> None:
        """A silence is written down."""
        self._covered = max(self._covered, silence.until)

    def probed(self, now: float) -> None:
        """That duty was taken."""
        self._next_probe = now + PROBE_SECONDS


class Breakers:
    """One for each channel that leads to a service."""

    def __init__(self, clock: Callable[[], float], gauge: Gauge) -> None:
        self._clock = clock
        self._gauge = gauge
        self._breakers = {channel.value: Breaker() for channel in Channel if channel in BROKEN_BY_SILENCE}
        self._show()

    @property
    def open(self) -> frozenset[str]:
        """Channels on which nobody answers."""
        return frozenset(channel for channel, breaker in self._breakers.items() if breaker.is_open)

    def allowed(self, channel: str, free: int) -> int:
        """How many of `free` slots may be used now."""
        if channel not in self.open:
            return free
        return min(free, 1) if self._breakers[channel].lets_probe(self._clock()) else 0

    def started(self, channel: str) -> None:
        """An attempt begins."""
        if channel in self.open:
            self._breakers[channel].probed(self._clock())

    def note(self, channel: str, *, answered: bool) -> None:
        """What came of an attempt."""
        breaker = self._breakers.get(channel)
        if breaker is None:
            return
        if answered and breaker.answered():
            log.info("breaker closed", channel=channel)
        elif not answered and breaker.unanswered(self._clock()):
            log.warning("breaker opened", channel=channel)
        self._show()

    def silence(self, channel: str) -> Silence | None:
        """See Breaker.silence; None for a channel on which somebody answers."""
        breaker = self._breakers.get(channel)
        return None if breaker is None else breaker.silence(self._clock())

    def covered(self, channel: str, silence: Silence) -> None:
        """A silence is written down: it is not told again."""
        self._breakers[channel].covered(silence)

    def back(self, dependency: Dependency) -> None:
        """A service that was away is seen to answer again."""
        for channel in CHANNELS[dependency]:
            self.note(channel.value, answered=True)

    def _show(self) -> None:
        self._gauge.replace({channel: float(breaker.is_open) for channel, breaker in self._breakers.items()})
