"""Telling operators that something needs them: once for each trouble, again after ten minutes, and when it ends."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from coordinator_core.units import UnixTime


class AlertName(StrEnum):
    """What can be wrong. Each has an entry in the runbook under this name."""

    LOOP_STALLED = "loop_stalled"
    LOOP_DEGRADED = "loop_degraded"
    DATABASE_FAILING = "database_failing"
    DUTIES_LATE = "duties_late"
    INBOX_LATE = "inbox_late"
    CHAIN_LAGS = "chain_lags"
    CHAIN_FAILED = "chain_failed"
    CHAIN_STALE = "chain_stale"
    DEPENDENCY_AWAY = "dependency_away"
    LIVENESS_VIOLATION = "liveness_violation"
    STATE_TOO_OLD = "state_too_old"
    DUTY_REDERIVED = "duty_rederived"
    COMPETITION_STOPPED = "competition_stopped"
    NEEDS_OPERATOR = "needs_operator"
    DUTY_DEAD = "duty_dead"
    DUTY_FAILING = "duty_failing"
    NEW_MONEY_FROZEN = "new_money_frozen"
    NOT_RECONCILED = "not_reconciled"
    PAYMENT_UNEXPLAINED = "payment_unexplained"
    BOOKS_OUT_OF_BALANCE = "books_out_of_balance"
    KEY_CHANGED = "key_changed"


class Alert(Struct, frozen=True):
    """One trouble. Texts hold no secrets."""

    name: AlertName
    subject: str
    """What it is about: a competition, a duty, a service; empty for the coordinator itself."""
    summary: str

    @property
    def key(self) -> str:
        """The same trouble has the same one."""
        return f"{self.name.value}/{self.subject}" if self.subject else self.name.value


class AlertRow(Struct, frozen=True, kw_only=True):
    """What is known of a trouble."""

    key: str
    summary: str
    first: UnixTime
    """When it began, this time."""
    last: UnixTime
    """When operators were told of it last, or it came back last."""
    count: int
    """How often it began or was told again, ever."""
    told: UnixTime
    """When operators were told of it last."""
    cleared: UnixTime | None

    @property
    def was_told(self) -> bool:
        """Operators know of it: they were told since it began this time."""
        return self.told >= self.first


class AlertSink(Protocol):
    """A way to an operator. Raises faults.PortError when it does not take a message."""

    async def raised(self, alert: Alert, row: AlertRow) -> None:
        """Something is wrong, or still wrong."""
        ...

    async def cleared(self, row: AlertRow) -> None:
        """It is over."""
        ...


class AlertWrites(Protocol):
    """The alerts' part of a write transaction."""

    async def put_alert(self, row: AlertRow) -> None:
        """Write a row over the one with its key."""
        ...


class AlertReads(Protocol):
    """The alerts' reads."""

    async def alerts(self) -> Sequence[AlertRow]:
        """Every trouble ever, the newest first."""
        ...
