"""What needs a person, why, since when, and what can be done about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from enum import StrEnum

from msgspec import Struct

from coordinator.domain.competitions import bumping
from coordinator.domain.facts import NeedsOperator
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.new_money import Frozen
from coordinator.ports.operating import StoppedRow, TroubleRow
from coordinator.ports.store import Store
from coordinator_core.units import Seconds, UnixTime

FAILING = 8
"""Failures in a row from which on a duty is shown, once the first of them is FAILING_SECONDS old."""
FAILING_SECONDS = 120
"""Eight failures take up to a minute and a half with back-off, and a quarter of one where a gate keeps a duty back: a
service that is briefly away is no trouble of a person.
"""
SHOWN_DUTIES = 500


class Kind(StrEnum):
    """What sort of trouble it is."""

    STOPPED = "stopped"
    """A competition contradicts itself: only what protects somebody goes on."""
    TROUBLE = "trouble"
    """A competition goes on, and something in it needs a person."""
    DEAD = "dead"
    """A duty was given up."""
    FAILING = "failing"
    """A duty is tried again and again."""
    IDLE = "idle"
    """Nothing drove a competition that is not over."""
    LATE = "late"
    """A competition is in a state for longer than that should take."""
    DIFFERED = "differed"
    """What was stored of a competition was not what follows from its state and facts."""
    FROZEN = "frozen"
    """No new money comes in."""
    COMPARING = "comparing"
    """Database, chain and Lightning cannot be compared: no money moves before."""
    UNEXPLAINED = "unexplained"
    """Money left or entered the Lightning node, and nothing here explains it."""
    BOOKS = "books"
    """The books do not add up."""
    KEY = "key"
    """A service has another key than the one it had at first."""


class Attention(Struct, frozen=True, kw_only=True):
    """One thing that needs a person."""

    kind: Kind
    lane: str | None
    subject: str
    """Topic or duty."""
    reason: str
    since: UnixTime
    """Wall clock."""
    age: Seconds
    fix: str
    """What can be done."""


async def attention(
    store: Store, clock: Clockwork, frozen: Frozen | None, house: Sequence[Attention] = ()
) -> tuple[Attention, ...]:
    """Everything that needs a person, the oldest first; `house` is what concerns the house's money. A read: writes
    nothing, asks nobody outside.
    """
    now = clock.wall()
    found = [_of_stopped(row, now) for row in await store.stopped()]
    troubled = await store.troubled_duties(FAILING, SHOWN_DUTIES)
    found += [_of_duty(row, now) for row in troubled if _is_dead(row) or now - row.since >= FAILING_SECONDS]
    found += [item async for item in _troubles(store, clock)]
    found += house
    if frozen is not None:
        fix = "coordinator admin unfreeze"
        found.append(noted(Kind.FROZEN, None, "new money", frozen.reason, frozen.since, now, fix))
    return tuple(sorted(found, key=lambda item: (item.since, item.lane or "", item.subject)))


def noted(
    kind: Kind, lane: str | None, subject: str, reason: str, since: UnixTime, now: UnixTime, fix: str
) -> Attention:
    """One of them, `now` being the wall clock."""
    age = Seconds(max(0, now - since))
    return Attention(kind=kind, lane=lane, subject=subject, reason=reason, since=since, age=age, fix=fix)


def _of_stopped(row: StoppedRow, now: UnixTime) -> Attention:
    fix = f"coordinator admin resume {row.lane}"
    return noted(Kind.STOPPED, row.lane, "competition", row.reason, row.since, now, fix)


def _of_duty(row: TroubleRow, now: UnixTime) -> Attention:
    dead = _is_dead(row)
    again = f"reopen --competition {row.lane}" if dead else f"retry {row.lane}"
    fix = f"coordinator admin {again} --duty {row.duty}"
    return noted(Kind.DEAD if dead else Kind.FAILING, row.lane, row.duty, row.error, row.since, now, fix)


def _is_dead(row: TroubleRow) -> bool:
    return row.status == "dead"


async def _troubles(store: Store, clock: Clockwork) -> AsyncIterator[Attention]:
    """NeedsOperator of every competition, as far as it is not over."""
    for lane, key, since in await store.lanes_with(NeedsOperator.kind()):
        try:
            record = await store.lane(lane)
        except UnreadableRow:
            # It is in the list of the stopped ones already.
            continue
        trouble = None if record is None else record.facts.get(NeedsOperator, key)
        if record is None or trouble is None:
            continue
        if not bumping.is_over(codec.lane_of(record, await world_of(record, clock)), trouble):
            yield noted(Kind.TROUBLE, lane, key, trouble.reason, since, clock.wall(), trouble.resume)
