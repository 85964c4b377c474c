"""Alerts as private messages (NIP-17) to the owners' Nostr keys."""

from __future__ import annotations

from collections.abc import Collection

from coordinator.ports.alerts import Alert, AlertRow
from coordinator.ports.notify import Notice, Notifier

LANE = "operator"
"""Where a notice belongs that is about no competition."""


class MessageAlerts:
    """See ports.alerts.AlertSink. `owners` are x-only keys."""

    def __init__(self, notifier: Notifier, owners: Collection[bytes]) -> None:
        self._notifier = notifier
        self._owners = tuple(sorted(owners))

    async def raised(self, alert: Alert, row: AlertRow) -> None:
        """Each telling is a message of its own: its number is in the topic."""
        await self._send(f"alert/{row.key}/{row.count}", f"Coordinator: {alert.name.value}", alert.summary)

    async def cleared(self, row: AlertRow) -> None:
        """See ports.alerts.AlertSink."""
        await self._send(f"cleared/{row.key}/{row.count}", "Coordinator: it is over", row.key)

    async def _send(self, topic: str, subject: str, text: str) -> None:
        for owner in self._owners:
            await self._notifier.send(LANE, Notice(owner.hex(), topic, subject, text))
