"""An act of an operator: what follows from it and its line in the audit log are one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from coordinator.engine.apply import InvariantViolation, apply_lane
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.engine.submit import Conflict, UnknownCompetition
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.operating import Act
from coordinator.ports.store import LaneRecord, Store, Transaction
from coordinator_core.errors import Fault, InvalidInput

SOURCE = "operator"
PRIORITY = 1
MAX_REASON = 500
OPERATOR = "operator"
"""Who holds the token of the data directory."""


class Verb(StrEnum):
    """What can be done. The names stand in the audit log for ever."""

    RETRY = "retry"
    RESUME = "resume"
    CANCEL = "cancel"
    RECONCILE = "reconcile"
    REOPEN = "reopen"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    SETTLE_ONLY = "settle-only"
    TAKE_ON = "take-on"
    EXPLAIN = "explain"
    ACCEPT_KEY = "accept-key"


@dataclass(frozen=True, slots=True)
class By:
    """Who acts, why, and under which key the act has its effect once."""

    who: str
    """`operator`, or an owner's x-only key (hex)."""
    reason: str
    dkey: str

    def __post_init__(self) -> None:
        if not self.reason.strip() or len(self.reason) > MAX_REASON:
            fix = f"say why, in at most {MAX_REASON} characters: it stays in the audit log"
            raise InvalidInput("reason", "is missing or too long", fix, fault=Fault.COORDINATOR)


@dataclass(frozen=True, slots=True)
class House:
    """Where acts take effect."""

    store: Store
    clock: Clockwork
    wakeups: Wakeups
    observer: EngineObserver = UNOBSERVED


Effect = Callable[[Transaction], Awaitable[object]]
"""What follows, in the act's own transaction; the answer. Raises InvalidInput or Refused, then nothing is written."""


async def act(house: House, by: By, verb: Verb, effect: Effect, *, lane: str | None = None, subject: str = "") -> bytes:
    """Do something once and write it down; the answer as JSON. The same dkey again gets the stored answer.

    With a lane it gets an inbox row, so that the competition looks at itself again. Raises what `effect` raises.
    """
    dkey = f"{verb.value}/{by.dkey}"
    now = house.clock.wall()
    async with house.store.write() as tx:
        if (known := await tx.acted(dkey)) is not None:
            return known
        answer = msgspec.json.encode(await effect(tx))
        if lane is not None:
            await tx.notify(lane, PRIORITY, SOURCE, dkey, verb.value, now)
        done = Act(dkey=dkey, who=by.who, act=verb.value, lane=lane, subject=subject, reason=by.reason)
        await tx.record_act(done, answer, now)
    house.wakeups.apply.set()
    house.wakeups.duties.set()
    if lane is not None:
        house.wakeups.changed(lane)
    return answer


async def known_lane(tx: Transaction, lane: str) -> LaneRecord:
    """A competition. Raises UnknownCompetition."""
    record = await tx.load(lane)
    if record is None:
        raise UnknownCompetition("competition", "is not known", "take an id from the list", fault=Fault.COORDINATOR)
    return record


async def applied(house: House, tx: Transaction, lane: str) -> Sequence[str]:
    """Take a competition as far as it goes, in the act's own transaction; the states that it reached, for the house's
    observer once the act is committed. Raises Conflict where it contradicts itself: then nothing of the act is written,
    and it stays stopped.
    """
    try:
        done = await apply_lane(tx, await known_lane(tx, lane), house.clock)
    except InvariantViolation as error:
        reason = f"still contradicts itself: {error}"
        raise Conflict("competition", reason, "run a release that mends it", fault=Fault.COORDINATOR) from error
    return done.reached
