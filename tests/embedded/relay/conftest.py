"""A session without a socket, and signed events for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.embedded.relay.session import Hub, Session
from coordinator.embedded.relay.store import EventStore
from tests.support.nostr_events import NOW, Json, sign


class Talk:
    """A session and what it was told."""

    def __init__(self, hub: Hub) -> None:
        self.heard: list[list[Any]] = []
        self.session = Session(hub, lambda text: self.heard.append(json.loads(text)))

    def say(self, *message: Any) -> list[list[Any]]:
        """Send a message; what came back."""
        self.heard.clear()
        self.session.receive(json.dumps(message, ensure_ascii=False))
        return list(self.heard)

    def ask(self, *filters: Json) -> list[str]:
        """Ids of the stored events that match."""
        *events, end = self.say("REQ", "q", *filters)
        assert end == ["EOSE", "q"]
        return [event["id"] for _, _, event in events]


@pytest.fixture
def event() -> Callable[..., Json]:
    """Signs events."""
    return sign


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    """A relay whose clock stands still."""
    store = EventStore(tmp_path / "events.sqlite")
    yield Hub(store, lambda: NOW)
    store.close()


@pytest.fixture
def talk(hub: Hub) -> Callable[[], Talk]:
    """Makes clients."""
    return lambda: Talk(hub)
