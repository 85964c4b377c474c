"""The relay's limits, as its NIP-11 document states them."""

from __future__ import annotations

from typing import Final

MAX_MESSAGE_BYTES: Final = 131_072
MAX_SUBSCRIPTIONS: Final = 20
MAX_FILTERS: Final = 10
MAX_FILTER_VALUES: Final = 1_000
MAX_LIMIT: Final = 500
MAX_SUBSCRIPTION_ID: Final = 64
MAX_TAGS: Final = 2_000
MAX_CONTENT_BYTES: Final = 65_536
MAX_FUTURE_SECONDS: Final = 900
MAX_BRACKETS: Final = 2 * MAX_TAGS + 100
MAX_CONNECTIONS: Final = 500


def document() -> dict[str, object]:
    """The relay information document (NIP-11)."""
    return {
        "name": "embedded relay",
        "description": "development relay on loopback",
        "supported_nips": [1, 11],
        "software": "coordinator.embedded.relay",
        "version": "1",
        "limitation": {
            "max_message_length": MAX_MESSAGE_BYTES,
            "max_subscriptions": MAX_SUBSCRIPTIONS,
            "max_limit": MAX_LIMIT,
            "default_limit": MAX_LIMIT,
            "max_subid_length": MAX_SUBSCRIPTION_ID,
            "max_event_tags": MAX_TAGS,
            "max_content_length": MAX_CONTENT_BYTES,
            "created_at_upper_limit": MAX_FUTURE_SECONDS,
            "auth_required": False,
            "payment_required": False,
        },
    }
