"""Ways to an operator: the log, a webhook, a private message."""

from coordinator.adapters.alerts.log import LogAlerts
from coordinator.adapters.alerts.message import MessageAlerts
from coordinator.adapters.alerts.webhook import WebhookAlerts

__all__ = ["LogAlerts", "MessageAlerts", "WebhookAlerts"]
