"""Every metric of a coordinator. Labels are states, kinds, channels, services: never an id, a height or an address."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum
from typing import Any, Final, get_args

import msgspec

from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import AnyDuty, Channel
from coordinator.engine.components import ChainState, Child, ChildState, Component, Dependency
from coordinator.engine.metrics.instruments import Counter, Gauge, Histogram, Metric
from coordinator.engine.money.buckets import Bucket


class Derived(StrEnum):
    """What the hourly sweep can find otherwise than it follows from state and facts."""

    STEP = "step"
    """A transition that is due."""
    DUTY = "duty"
    UNWANTED_DUTY = "unwanted_duty"
    TIMER = "timer"
    BUDGET = "budget"
    WATCH = "watch"


OUTCOMES: Final = ("done", "again", "failed", "dead", "stale", "lost", "unwanted", "not_committed")
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx")
UNEXPLAINED: Final = ("payments", "holding", "invoices")
"""Payments; those of them that hold back a prize; held and settled invoices."""
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
        self.breakers = Gauge("breaker_open", "1 while duties of a channel wait because nobody answers there", channels)
        self.duty_seconds = Histogram("duty_seconds", "How long an attempt takes", channels)
        self.reorgs = Counter("reorgs_total", "Blocks that were rolled back")
        self.blocks = Counter("blocks_total", "Blocks that were stored")
        self.refused = Counter("chain_refused_total", "Answers of the node that contradicted themselves")
        self.restarts = Counter(
            "supervisor_restarts_total", "Loops that died and were started again", children, from_zero=True
        )
        self.child_state = Gauge(
            "supervisor_child_state",
            "1 for what a loop does now, 0 for everything else",
            {**children, "state": [state.value for state in ChildState]},
        )
        self.liveness_violations = Counter(
            "liveness_violations_total", "Competitions that were found idle without a reason"
        )
        self.rederived = Counter(
            "duty_rederived_total",
            "What was stored otherwise than it follows from state and facts",
            {"what": [what.value for what in Derived]},
            from_zero=True,
        )
        self.over_budget = Gauge(
            "lanes_over_budget", "Competitions that are in a state for longer than that should take", {"state": states}
        )
        self.quarantines = Counter("lanes_quarantined_total", "Competitions that were stopped")
        self.probes = Counter(
            "dependency_probes_total", "Questions whether a service can be relied on",
            {**services, "outcome": ("up", "down")}, from_zero=True,
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
        self.chain_state = Gauge(
            "chain_state", "1 for how well the chain is followed now", {"state": [c.value for c in ChainState]}
        )
        self.money_held = Gauge("chain_holds_money", "1 while no funding and no payment leaves for chain or Lightning")
        self.chain_height = Gauge("chain_height", "Height of the last block that is stored")
        self.dependency_up = Gauge("dependency_up", "1 while a service can be relied on", services)
        self.component_healthy = Gauge(
            "component_healthy", "1 until three checks in a row failed", {"component": [c.value for c in Component]}
        )
        self.beat_age = Gauge("loop_beat_age_seconds", "Time since a loop last turned", children)
        self.loop_lag = Gauge("event_loop_lag_seconds", "How much later than asked the event loop woke a sleeper")
        self.frozen = Gauge("new_money_frozen", "1 while an operator lets no new money in")

        buckets = {"bucket": [bucket.value for bucket in Bucket]}
        self.money = Gauge("money_sats", "Where money stands, in satoshi; what nobody has said is not shown", buckets)
        self.money_age = Gauge("money_age_seconds", "How old an amount is", buckets)
        self.money_gap = Gauge("money_gap_sats", "What is owed beyond what is there; NaN while that is not known")
        self.money_faults = Gauge("money_faults", "What does not add up in the books; NaN before the first audit")
        self.reconciled = Gauge("money_reconciled", "1 once database, chain and Lightning were compared in this run")
        self.keys_changed = Gauge("keys_changed", "Keys of oracle and keymeld that are not those that were pinned")
        self.settle_only = Gauge("settle_only", "1 while nothing new is taken on")
        self.unexplained = Gauge(
            "money_unexplained", "Payments and tickets at Lightning that nothing here explains", {"what": UNEXPLAINED}
        )

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
