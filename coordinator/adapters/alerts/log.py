"""Alerts as lines of the log: always there."""

from __future__ import annotations

import structlog

from coordinator.ports.alerts import Alert, AlertRow

log = structlog.get_logger()


class LogAlerts:
    """See ports.alerts.AlertSink."""

    async def raised(self, alert: Alert, row: AlertRow) -> None:
        """An error, with the name of its entry in the runbook."""
        log.error("alert", alert=alert.name.value, key=row.key, summary=alert.summary, since=row.first, count=row.count)

    async def cleared(self, row: AlertRow) -> None:
        """A remark."""
        log.info("alert cleared", key=row.key, since=row.first, cleared=row.cleared)
