"""Notices as lines of the log, for a coordinator without relays."""

from __future__ import annotations

import structlog

from coordinator.ports.notify import Notice

log = structlog.get_logger()


class LogNotifier:
    """See ports.notify.Notifier. The text is the player's and is not logged."""

    async def send(self, lane: str, notice: Notice) -> None:
        """See ports.notify.Notifier."""
        log.info(
            "notice", lane=lane, topic=notice.topic, recipient=notice.recipient, subject=notice.subject, relays="none"
        )
