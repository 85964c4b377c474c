"""Every metric of a coordinator. Labels are states, kinds, channels, services: never an id, a height or an address."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final, get_args

import msgspec

from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import AnyDuty, Channel
from coordinator.engine.components import Child, Component, Dependency
from coordinator.engine.metrics.instruments import Counter, Gauge, Histogram, Metric

OUTCOMES: Final = ("done", "again", "failed", "dead", "stale", "not_committed")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
PRIORITIES: Final = tuple(str(number) for number in range(7))


def tags(union: Any) -> tuple[str, ...]:
    """Stored names of the members of a union of structs."""
    return tuple(sorted(_tags(union)))


def _tags(union: Any) -> Iterator[str]:
    for member in get_args(union):
        if isinstance(member, type) and issubclass(member, msgspec.Struct):
            yield str(member.__struct_config__.tag)
        else:
            yield from _tags(member)


class Meters:
    """What is counted where it happens, and what is read when somebody asks."""

    def __init__(self) -> None:
        states, kinds = tags(Competition), tags(AnyDuty)
        channels = {"channel": [channel.value for channel in Channel]}
        services = {"dependency": [dependency.value for dependency in Dependency]}
        children = {"child": [child.value for child in Child]}
        self.transitions = Counter(
            "transitions_total", "Steps of competitions", {"from_state": states, "to_state": states}
        )
        self.attempts = Counter("duty_attempts_total", "Attempts at duties", {"kind": kinds, "outcome": OUTCOMES})
        self.duty_seconds = Histogram("duty_seconds", "How long an attempt takes", channels)
        self.reorgs = Counter("reorgs_total", "Blocks that were rolled back")
        self.restarts = Counter("supervisor_restarts_total", "Loops that died and were started again", children)
        self.quarantines = Counter("lanes_quarantined_total", "Competitions that were stopped")
        self.probes = Counter(
            "dependency_probes_total", "Questions whether a service can be relied on",
            {**services, "outcome": ("up", "down")},
        )  # fmt: skip
        self.requests = Counter(
            "http_requests_total", "Requests answered", {"method": METHODS, "route": (), "status": CLASSES}
        )
        self.request_seconds = Histogram("http_request_seconds", "How long an answer takes")
        self.lanes = Gauge("lanes", "Competitions", {"state": states})
        self.state_age = Gauge(
            "lane_state_age_seconds", "Age of the competition that is longest in a state", {"state": states}
        )
        self.stopped = Gauge("lanes_quarantined", "Competitions that wait for an operator")
        self.stuck = Gauge("lanes_stuck", "Competitions that are not over and that nothing drives")
        self.inbox_depth = Gauge("inbox_depth", "New inbox rows", {"prio": PRIORITIES})
        self.inbox_oldest = Gauge("inbox_oldest_seconds", "Age of the oldest new inbox row")
        self.duty_open = Gauge("duty_open", "Open duties", channels)
        self.duty_due = Gauge("duty_oldest_due_seconds", "How long the oldest due duty waits to be claimed", channels)
        self.duty_dead = Gauge("duty_dead", "Duties that were given up")
        self.wal_bytes = Gauge("wal_bytes", "Size of the database's write-ahead log")
        self.chain_lag = Gauge("chain_lag_blocks", "Blocks of the node that are not stored yet; NaN while unknown")
        self.chain_height = Gauge("chain_height", "Height of the last block that is stored")
        self.dependency_up = Gauge("dependency_up", "1 while a service can be relied on", services)
        self.component_healthy = Gauge(
            "component_healthy", "1 until three checks in a row failed", {"component": [c.value for c in Component]}
        )
        self.beat_age = Gauge("loop_beat_age_seconds", "Time since a loop last turned", children)
        self.loop_lag = Gauge("event_loop_lag_seconds", "How much later than asked the event loop woke a sleeper")
        self.frozen = Gauge("new_money_frozen", "1 while an operator lets no new money in")

    def serve(self, routes: Collection[str]) -> None:
        """Templates of the routes that the web application has; none is known before."""
        self.requests.close("route", routes)

    @property
    def all(self) -> tuple[Metric, ...]:
        """Every metric."""
        return tuple(value for value in vars(self).values() if isinstance(value, Metric))

    def exposition(self) -> str:
        """Everything in Prometheus' text format."""
        return "\n".join(line for metric in self.all for line in metric.lines()) + "\n"
