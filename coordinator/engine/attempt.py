"""One attempt at a duty: load the competition, see that the duty is still wanted, execute, judge what came of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from functools import partial
from typing import Final

import structlog

from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import Channel
from coordinator.domain.facts import Outage
from coordinator.domain.gates import asks_only
from coordinator.domain.lane import Lane, World
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import backoff, codec
from coordinator.engine.apply import decide, world_of
from coordinator.engine.breakers import Breakers
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.duty import Again, Dead, Executor, Outcome, Task, Unwanted
from coordinator.engine.gates import HELD_SECONDS, Gates
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.faults import LONGEST_ASKED, PortError, Unreachable
from coordinator.ports.leasing import DutyRow
from coordinator.ports.store import LaneRecord, Store
from coordinator_core.errors import CoreError, Misuse
from coordinator_core.units import UnixTime

ATTEMPT_SECONDS: Final = 300.0
"""An attempt that takes longer hangs: its slot is needed, and the next one asks first what became of it."""
POISON: Final = 5
DEFECT_FAILURES: Final = 3
"""A defect of ours is tried as slowly as what failed so often more: it does not go away by itself."""
CLOSING_CHANNELS = frozenset(c.value for c in (Channel.ORACLE, Channel.KEYMELD, Channel.CHAIN, Channel.LOCAL))

Attempted = Outcome | Dead | Unwanted

log = structlog.get_logger()


class Attempts:
    """Executes duties that were claimed. Never raises: whatever happens is an outcome."""

    def __init__(
        self,
        store: Store,
        clock: Clockwork,
        wakeups: Wakeups,
        executors: Mapping[str, Executor],
        gates: Gates,
        breakers: Breakers,
    ) -> None:
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._executors = executors
        self._gates = gates
        self._breakers = breakers

    async def attempt(self, row: DutyRow) -> Attempted:
        """What came of it."""
        began = self._clock.wall()
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                return await self._execute(row)
        except Unreachable as error:
            self._breakers.note(row.channel, answered=False)
            self._wakeups.probe.set()
            pause = max(min(error.retry_after or 0.0, LONGEST_ASKED), backoff.pause(row.failures))
            return Again(pause, self._outage(row, began, pause), reason=str(error))
        except TimeoutError:
            return Again(backoff.pause(row.failures), reason="took too long")
        except UnreadableRow as error:
            return _unreadable(row, str(error))
        except PortError as error:
            self._breakers.note(row.channel, answered=True)
            return _failed(row, error.code, str(error))
        except CoreError as error:
            return _failed(row, error.code, str(error))
        except Exception as error:
            # A defect of ours must not end the loop for every other competition; it is retried, counted and seen.
            log.exception("duty raised", duty=row.id)
            return _defect(row, error)

    def _outage(self, row: DutyRow, began: UnixTime, pause: float) -> tuple[Outage, ...]:
        """A service that the windows of the closing hang on was down from this attempt until the next one."""
        if row.channel not in CLOSING_CHANNELS:
            return ()
        until = UnixTime(self._clock.wall() + math.ceil(pause))
        return (Outage(service=row.channel, since=began, until=until),)

    async def _execute(self, row: DutyRow) -> Attempted:
        duty = codec.decode_duty(row)
        executor = self._executors.get(row.kind)
        record = await self._store.lane(row.lane)
        if executor is None or record is None:
            raise UnreadableRow(row.id, f"nothing here can execute {row.kind}")
        world = await world_of(record, self._clock)
        lane = codec.lane_of(record, world)
        held = await self._gates.reason(duty, lane, record.quarantined)
        if held is not None and not asks_only(duty):
            return Again(HELD_SECONDS, reason=held, held=True)
        stopped = record.quarantined is not None
        if not stopped and not _is_wanted(row, record, world):
            return Unwanted()
        state, reread = codec.decode_state(record.state), partial(self._view, row.lane)
        outcome = await executor(Task(row.id, duty, state, lane, row.attempts, stopped, reread, held))
        self._breakers.note(row.channel, answered=True)
        return outcome

    async def _view(self, lane: str) -> tuple[Competition, Lane]:
        record = await self._store.lane(lane)
        if record is None:
            raise Misuse(f"competition {lane} is gone")
        return codec.decode_state(record.state), codec.lane_of(record, await world_of(record, self._clock))


def _is_wanted(row: DutyRow, record: LaneRecord, world: World) -> bool:
    """Whether a duty is still called for by everything that is known now, applied or not: a ticket whose settlement was
    decided a moment ago is not cancelled any more.
    """
    try:
        return row.id in decide(record, world).duties
    except Exception as error:
        # The apply loop stops this competition; until then only what protects somebody goes on.
        log.warning("competition cannot be judged", duty=row.id, error=str(error))
        return row.protective


def _failed(row: DutyRow, code: str, reason: str) -> Again:
    log.warning("duty failed", duty=row.id, code=code, error=reason)
    return Again(backoff.pause(row.failures), reason=reason)


def _unreadable(row: DutyRow, reason: str) -> Again | Dead:
    """Of another release, or broken. It is not guessed at; one that protects somebody waits for the right release."""
    if row.protective:
        log.error("duty cannot be read", duty=row.id, error=reason)
        return Again(backoff.LONGEST_SECONDS, reason=reason)
    log.error("duty is dead", duty=row.id, error=reason)
    return Dead(reason)


def _defect(row: DutyRow, error: Exception) -> Again | Dead:
    """The fifth time in a row that the same exception comes a duty is given up, unless it protects somebody."""
    name = type(error).__name__
    reason = f"{name}: {error}"
    in_a_row = (row.defects if row.defect == name else 0) + 1
    if in_a_row >= POISON and not row.protective:
        log.error("duty is dead", duty=row.id, error=reason)
        return Dead(reason)
    return Again(backoff.pause(row.failures + DEFECT_FAILURES), reason=reason, defect=name)
