"""submit(): the only way a command changes a competition. Applied inline, answered from the same transaction."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import Fact
from coordinator.domain.lane import Lane
from coordinator.engine import codec
from coordinator.engine.apply import apply_lane, world_of
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.store import Store, Transaction
from coordinator_core.errors import Fault, InvalidInput, Refused

COMMAND_PRIORITY = 4
NO_SECRETS: Mapping[str, bytes] = MappingProxyType({})


class UnknownCompetition(InvalidInput):
    """No competition has this id."""

    code = "competition.unknown"


class Conflict(Refused):
    """The competition is not in a state in which this can be done."""

    code = "competition.conflict"


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command decided: facts to write, unique resources to take, the answer to store."""

    facts: Sequence[Fact]
    answer: object
    resources: Sequence[tuple[str, str, str]] = ()
    """(resource, purpose, field to blame when another holds it)."""


Decide = Callable[[Competition, Lane], Decision]
"""Pure: judges a command against state and facts; raises InvalidInput or Refused, then nothing is written."""


async def submit(
    store: Store,
    clock: Clockwork,
    wakeups: Wakeups,
    *,
    lane: str,
    kind: str,
    dkey: str,
    decide: Decide,
    secrets: Mapping[str, bytes] = NO_SECRETS,
    observer: EngineObserver = UNOBSERVED,
) -> bytes:
    """Judge a command, write its facts, advance, answer (JSON). The same dkey again gets the stored answer.

    `secrets` are what the facts rely on, by name and sealed: they are on disk when the answer is given, and of a
    refused command none is left.

    Raises UnknownCompetition, Conflict, or what `decide` raises.
    """
    async with store.write() as tx:
        if (known := await tx.answered("api", dkey)) is not None:
            return known
        record = await tx.load(lane)
        if record is None:
            raise UnknownCompetition("competition", "is not known", "take an id from the list", fault=Fault.PLAYER)
        if record.quarantined is not None:
            raise Conflict("competition", "is stopped until an operator has looked at it", "try again later")
        view = codec.lane_of(record, await world_of(record, clock))
        decision = decide(codec.decode_state(record.state), view)
        await _take(tx, lane, decision)
        for name, sealed in secrets.items():
            await tx.put_secret(lane, name, sealed)
        now = clock.wall()
        await tx.put_facts(lane, decision.facts, f"api:{kind}", now)
        for fact in decision.facts:
            record.facts.put(fact)
        seq = await tx.notify(lane, COMMAND_PRIORITY, "api", dkey, kind, now)
        done = await apply_lane(tx, record, clock)
        response = msgspec.json.encode(decision.answer)
        if seq is not None:
            await tx.answer(seq, response, now)
    observer.applied(lane, done.reached)
    wakeups.duties.set()
    wakeups.changed(lane)
    return response


async def _take(tx: Transaction, lane: str, decision: Decision) -> None:
    for resource, purpose, field in decision.resources:
        if not await tx.reserve(resource, lane, purpose):
            raise Refused(field, "is in use already", "make a fresh one", fault=Fault.PLAYER)
