"""Status for everyone: whether the work goes on, which services are away, why no ticket is sold. No ids, no secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordinator.engine.health import Report, Status
from coordinator.engine.new_money import NewMoney, Pause
from coordinator.ports.measuring import Progress
from coordinator.views.moments import Moment, moment
from coordinator.views.words import DEPENDENCIES, counted
from coordinator_core.units import UnixTime

WORDS = {
    Status.OK: "Everything works.",
    Status.DEGRADED: "Something is not as it should be. What is paid is safe, and what can go on goes on.",
    Status.UNHEALTHY: "The work does not go on now. What is paid is safe: it is on disk and goes on later.",
}


@dataclass(frozen=True, slots=True)
class Trouble:
    """A sentence, and since when it is so (wall clock)."""

    text: str
    since: Moment | None


@dataclass(frozen=True, slots=True)
class StatusPage:
    """What the page shows."""

    status: str
    sentence: str
    away: Sequence[Trouble]
    paused: Sequence[Trouble]
    """Why no competition sells tickets now."""
    chain: str
    competitions: Sequence[tuple[str, int]] | None
    """Number of competitions by state, in the states' alphabetical order; None while they cannot be counted."""


def paused(money: NewMoney, now: UnixTime) -> tuple[Trouble, ...]:
    """What keeps new money out of every competition; fees are each competition's own matter."""
    if money.frozen is not None:
        who = DEPENDENCIES[money.frozen.by].removesuffix(":").capitalize()
        return (Trouble(f"{who} lets no new money in: {money.frozen.reason}", moment(money.frozen.since, now)),)
    own = (Trouble(f"{DEPENDENCIES[p.dependency].removesuffix(':')} {p.reason}", _since(p, now)) for p in money.house)
    return (*away(money, now), *own)


def _since(pause: Pause, now: UnixTime) -> Moment | None:
    return None if pause.since is None else moment(pause.since, now)


def away(money: NewMoney, now: UnixTime) -> tuple[Trouble, ...]:
    """Services that cannot be relied on."""
    gone = ((DEPENDENCIES[item.dependency.value], item) for item in money.away)
    return tuple(Trouble(f"{name} {item.reason}", moment(item.since, now)) for name, item in gone)


def counts(progress: Progress | None) -> dict[str, int] | None:
    """Competitions by state; None while they cannot be counted."""
    return None if progress is None else dict(sorted(progress.states.items()))


def page(report: Report, money: NewMoney, progress: Progress | None, now: UnixTime) -> StatusPage:
    """The page from what health knows."""
    return StatusPage(
        status=report.status.value,
        sentence=WORDS[report.status],
        away=away(money, now),
        paused=paused(money, now),
        chain=_chain(report.work.chain_lag_blocks),
        competitions=None if (found := counts(progress)) is None else tuple(found.items()),
    )


def _chain(lag: int | None) -> str:
    if lag is None:
        return "not known: the Bitcoin node does not answer"
    return "in step with the Bitcoin node" if lag == 0 else f"{counted(lag, 'block')} behind the Bitcoin node"
