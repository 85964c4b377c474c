"""Apply: run `advance` on a lane to its fixpoint; write state, log, duties, timers and watches in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.budgets import budget
from coordinator.domain.competitions.states import Competition
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.competitions.watching import Deadline, deadline, watched
from coordinator.domain.lane import Lane, World
from coordinator.domain.protection import protects
from coordinator.engine import codec
from coordinator.engine.clockwork import Clockwork
from coordinator.ports.following import Watch
from coordinator.ports.store import LaneRecord, Transaction
from coordinator.ports.timing import Wake
from coordinator_core.errors import CoreError
from coordinator_core.units import Height

MAX_STEPS = 32
TERMINAL = frozenset({"completed", "cancelled", "failed"})

log = structlog.get_logger()


class InvariantViolation(CoreError):
    """A lane contradicts itself: it is quarantined, the engine goes on."""

    code = "engine.invariant"


@dataclass(slots=True)
class Applied:
    """What one application of a lane did."""

    state: Competition
    lane: Lane
    steps: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    duties: Mapping[str, tuple[str, str, bytes]] = field(default_factory=dict[str, tuple[str, str, bytes]])
    protective: frozenset[str] = frozenset()
    watches: dict[Watch, Height] = field(default_factory=dict[Watch, Height])
    """Each with the lowest block that may hold it."""
    wake: Wake = field(default_factory=Wake)
    budget: Wake = field(default_factory=Wake)
    """By when it should have left its state."""

    @property
    def reached(self) -> list[str]:
        """The states that it went through, in their order."""
        return [after for _, after, _ in self.steps]


async def world_of(record: LaneRecord, clock: Clockwork) -> World:
    """Time and chain as of now, with the hits of a lane."""
    tip = await clock.tip()
    return World(
        wall=clock.wall(),
        now=await clock.domain(),
        tip=tip.height,
        median_time_past=tip.median_time_past,
        cancel_delta=clock.cancel_delta,
        confirmed=record.confirmed,
        spent=record.spent,
    )


async def apply_lane(tx: Transaction, record: LaneRecord, clock: Clockwork) -> Applied:
    """Run a loaded lane to its fixpoint and write everything that follows. Raises InvariantViolation."""
    applied = decide(record, await world_of(record, clock))
    await _write(tx, record, applied, clock.precise())
    return applied


def decide(record: LaneRecord, world: World) -> Applied:
    """What applying a lane would do. Pure. Raises InvariantViolation, whatever is broken about the lane."""
    try:
        return _decided(record, world)
    except InvariantViolation:
        raise
    except Exception as error:
        # Pure code over the rows of one lane: whatever it raises concerns this lane alone.
        raise InvariantViolation(f"{type(error).__name__}: {error}") from error


def _decided(record: LaneRecord, world: World) -> Applied:
    lane = codec.lane_of(record, world)
    applied = Applied(state=codec.decode_state(record.state), lane=lane)
    for _ in range(MAX_STEPS):
        before = codec.tag(applied.state)
        step = advance(applied.state, lane)
        if step is None:
            break
        applied.state = step.state
        applied.steps.append((before, codec.tag(step.state), step.reason))
    else:
        raise InvariantViolation(f"no fixpoint after {MAX_STEPS} steps")
    state = applied.state
    duties = wanted(state, lane)
    applied.duties = {d.id(lane.id): (d.channel.value, d.kind(), codec.encode_duty(d)) for d in duties}
    applied.protective = frozenset(d.id(lane.id) for d in duties if protects(d, lane))
    look = watched(state, lane)
    applied.watches = {Watch("t", txid): since for txid, since in look.transactions.items()}
    applied.watches |= {Watch("o", outpoint): since for outpoint, since in look.outpoints.items()}
    applied.wake = _moments(deadline(state, lane))
    entered = world.wall if applied.steps else record.entered_at
    applied.budget = _moments(budget(state, lane, entered))
    return applied


def _moments(found: Deadline) -> Wake:
    return Wake(wall=found.wall, domain=found.domain, height=found.height, median=found.median)


async def _write(tx: Transaction, record: LaneRecord, applied: Applied, precise: float) -> None:
    """`precise`: wall clock with its fractions, by which duties become due."""
    state, lane = applied.state, applied.lane
    now = lane.world.wall
    if applied.steps:
        terminal = codec.tag(state) in TERMINAL
        await tx.save_state(record, applied.steps, codec.encode_state(state), now, terminal=terminal)
        for before, after, reason in applied.steps:
            log.info("transition", lane=record.id, before=before, after=after, reason=reason)
    await tx.want_duties(lane.id, applied.duties, precise, applied.protective)
    await tx.set_watches(lane.id, applied.watches)
    await tx.set_wake(lane.id, applied.wake, applied.budget)
