"""Messages to players behind ports.notify."""

from coordinator.adapters.notify.log import LogNotifier
from coordinator.adapters.notify.relay import RelayNotifier

__all__ = ["LogNotifier", "RelayNotifier"]
