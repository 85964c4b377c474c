"""What health sampled, as gauges. Done when somebody asks for the metrics."""

from __future__ import annotations

from math import nan

from coordinator.engine.components import ChainState, Child, ChildState, Component, Dependency
from coordinator.engine.health import Health
from coordinator.engine.metrics.meters import Meters
from coordinator.ports.measuring import Progress
from coordinator_core.units import Height


def publish(health: Health, *, height: Height, frozen: bool) -> str:
    """Every metric in Prometheus' text format. `height` is that of the chain cursor."""
    meters = health.vitals.meters
    meters.chain_height.set(height)
    meters.frozen.set(frozen)
    lag = health.dependencies.chain_lag
    meters.chain_lag.set(nan if lag is None else lag)
    followed = health.dependencies.lookout.report()
    meters.chain_state.replace({state.value: state is followed.state for state in ChainState})
    meters.money_held.set(followed.held is not None)
    meters.component_healthy.replace({c.value: health.is_healthy(c) for c in Component})
    away = {gone.dependency for gone in health.away}
    meters.dependency_up.replace({d.value: d not in away for d in Dependency})
    meters.beat_age.replace({c.value: age for c in Child if (age := health.vitals.age(c)) is not None})
    for child, state in health.children().items():
        for possible in ChildState:
            meters.child_state.set(possible is state, child.value, possible.value)
    if health.progress is None:
        _unknown(meters)
    else:
        _known(meters, health, health.progress)
    return meters.exposition()


def _known(meters: Meters, health: Health, found: Progress) -> None:
    now = health.clock.wall()
    meters.lanes.replace(found.states)
    meters.state_age.replace({state: max(0, now - since) for state, since in found.entered.items()})
    meters.stopped.set(found.stopped)
    meters.stuck.set(found.stuck)
    meters.inbox_depth.replace({str(prio): depth for prio, depth in found.inbox.items()})
    meters.inbox_oldest.set(health.inbox_age(found))
    meters.duty_open.replace(found.duties)
    meters.duty_due.replace(health.due_ages(found))
    meters.duty_dead.set(found.dead)
    meters.wal_bytes.set(found.wal_bytes)


def _unknown(meters: Meters) -> None:
    for gauge in (meters.lanes, meters.state_age, meters.inbox_depth, meters.duty_open, meters.duty_due):
        gauge.replace({})
    for gauge in (meters.stopped, meters.stuck, meters.inbox_oldest, meters.duty_dead, meters.wal_bytes):
        gauge.set(nan)
