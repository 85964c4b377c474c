"""Times in which a service, or we ourselves, were down: they do not count against the windows of the closing."""

from __future__ import annotations

from coordinator.domain.facts.base import Fact
from coordinator_core.units import UnixTime


class Outage(Fact, frozen=True, kw_only=True, tag="outage"):
    """`service` did not answer from `since` until at least `until` (wall clock)."""

    service: str
    since: UnixTime
    until: UnixTime

    @property
    def key(self) -> str:
        return f"{self.service}/{self.since}"
