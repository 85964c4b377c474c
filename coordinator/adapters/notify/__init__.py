"""Messages to players behind ports.notify."""

from coordinator.adapters.notify.log import LogNotifier

__all__ = ["LogNotifier"]
