"""What operators are told: derived from health and from what needs attention, compared with what they know already."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
import structlog

from coordinator.engine.components import ChainState, Child, ChildState, Component
from coordinator.engine.health import LAG_BLOCKS, LATE_DUTY_SECONDS, LATE_INBOX_SECONDS, SERVICES, Health
from coordinator.engine.operators.attention import Attention, Kind, attention
from coordinator.engine.operators.freezing import Freezer
from coordinator.ports.alerts import Alert, AlertName, AlertRow, AlertSink
from coordinator.ports.faults import PortError
from coordinator_core.units import UnixTime

EVERY_SECONDS: Final = 15.0
AGAIN_SECONDS: Final = 600
"""A trouble is told again after so long, and no sooner however often it comes and goes."""
NEVER: Final = UnixTime(0)
OF_ATTENTION: Final[Mapping[Kind, AlertName]] = {
    Kind.STOPPED: AlertName.COMPETITION_STOPPED,
    Kind.TROUBLE: AlertName.NEEDS_OPERATOR,
    Kind.DEAD: AlertName.DUTY_DEAD,
    Kind.FAILING: AlertName.DUTY_FAILING,
    Kind.FROZEN: AlertName.NEW_MONEY_FROZEN,
    Kind.IDLE: AlertName.LIVENESS_VIOLATION,
    Kind.LATE: AlertName.STATE_TOO_OLD,
    Kind.DIFFERED: AlertName.DUTY_REDERIVED,
    Kind.COMPARING: AlertName.NOT_RECONCILED,
    Kind.UNEXPLAINED: AlertName.PAYMENT_UNEXPLAINED,
    Kind.BOOKS: AlertName.BOOKS_OUT_OF_BALANCE,
    Kind.KEY: AlertName.KEY_CHANGED,
}
_OF_COMPONENT: Final[Mapping[Component, tuple[AlertName, str]]] = {
    Component.DATABASE: (AlertName.DATABASE_FAILING, "the database cannot be read"),
    Component.DUTIES: (AlertName.DUTIES_LATE, f"a due duty waits for more than {LATE_DUTY_SECONDS:g} s"),
    Component.INBOX: (AlertName.INBOX_LATE, f"an inbox row waits for more than {LATE_INBOX_SECONDS:g} s"),
    Component.CHAIN_LAG: (AlertName.CHAIN_LAGS, f"the node is more than {LAG_BLOCKS} blocks ahead, or unknown"),
}
_OF_CHAIN: Final[Mapping[ChainState, AlertName]] = {
    ChainState.FAILED: AlertName.CHAIN_FAILED,
    ChainState.STALE: AlertName.CHAIN_STALE,
}

log = structlog.get_logger()


class Alarms:
    """One look every 15 s."""

    def __init__(
        self,
        health: Health,
        freezer: Freezer,
        sinks: Sequence[AlertSink],
        house: Callable[[], Sequence[Attention]] = tuple,
    ) -> None:
        """`house`: what of the house's money needs a person."""
        self._house = house
        self._health = health
        self._store = health.store
        self._clock = health.clock
        self._freezer = freezer
        self._sinks = tuple(sinks)

    async def run(self) -> None:
        """Look for ever."""
        while True:
            self._health.vitals.beat(Child.ALARMS)
            await asyncio.sleep(EVERY_SECONDS)
            await self.step()

    async def step(self) -> None:
        """Tell what is new, again what lasts, and what is over."""
        needs = await attention(self._store, self._clock, self._freezer.frozen, self._house())
        found = {alert.key: alert for alert in (*of_health(self._health), *of_attention(needs))}
        known = {row.key: row for row in await self._store.alerts()}
        now = self._clock.wall()
        for key, alert in found.items():
            row = raised(alert, known.get(key), now)
            if row is not None:
                await self._keep(row)
                if row.told == now:
                    await self._tell(alert, row)
        for key, row in known.items():
            if key not in found and row.cleared is None:
                over = msgspec.structs.replace(row, cleared=now)  # noqa: TID251  (a row, no typestate)
                await self._keep(over)
                if row.was_told:
                    await self._tell(None, over)

    async def _keep(self, row: AlertRow) -> None:
        async with self._store.write() as tx:
            await tx.put_alert(row)

    async def _tell(self, alert: Alert | None, row: AlertRow) -> None:
        """Every sink; one that does not take it stops no other."""
        for sink in self._sinks:
            try:
                await (sink.cleared(row) if alert is None else sink.raised(alert, row))
            except PortError as error:
                log.warning("alert not delivered", key=row.key, service=error.service, reason=error.reason)


def raised(alert: Alert, known: AlertRow | None, now: UnixTime) -> AlertRow | None:
    """The row of a trouble that is there now; None when there is nothing to write down. It is told if `told` is now."""
    if known is None:
        return AlertRow(key=alert.key, summary=alert.summary, first=now, last=now, count=1, told=now, cleared=None)
    due = now - known.told >= AGAIN_SECONDS
    if known.cleared is None and not due:
        return None
    return AlertRow(
        key=alert.key,
        summary=alert.summary,
        first=known.first if known.cleared is None else now,
        last=now,
        count=known.count + 1,
        told=now if due else known.told,
        cleared=None,
    )


def of_health(health: Health) -> Iterator[Alert]:
    """Components that are not well."""
    report = health.report()
    for component, well in report.components.items():
        if well:
            continue
        if component in SERVICES:
            yield Alert(AlertName.DEPENDENCY_AWAY, component.value, f"{component.value} cannot be relied on")
        elif component in _OF_COMPONENT:
            name, summary = _OF_COMPONENT[component]
            yield Alert(name, "", summary)
        else:
            yield Alert(AlertName.LOOP_STALLED, component.value, f"{component.value} does not turn")
    if (named := _OF_CHAIN.get(report.chain.state)) is not None:
        yield Alert(named, "", report.chain.reason)
    for child, state in report.children.items():
        if state is ChildState.DEGRADED:
            yield Alert(AlertName.LOOP_DEGRADED, child.value, f"the {child.value} loop keeps dying, or does not end")


def of_attention(needs: Sequence[Attention]) -> Iterator[Alert]:
    """Everything that operators find in `coordinator admin attention`."""
    for item in needs:
        where = (
            f"{item.lane}/{item.subject}" if item.lane is not None and item.lane not in item.subject else item.subject
        )
        yield Alert(OF_ATTENTION[item.kind], where, f"{item.reason}; {item.fix}")
