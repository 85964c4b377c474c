"""Signed events, and a session without a socket."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from coordinator.embedded.relay.session import Hub, Session
from coordinator.embedded.relay.store import EventStore
from coordinator_core.secp256k1 import SecretKey, schnorr_sign

NOW = 1_800_000_000.0
KEYS = [SecretKey.from_bytes(bytes([number]) * 32) for number in (1, 2)]
Json = dict[str, Any]


def sign(key: int = 0, *, kind: int = 1, content: str = "", tags: Any = (), created_at: int = int(NOW)) -> Json:
    """An event, written and signed by hand from NIP-01."""
    pubkey = KEYS[key].x_only.hex()
    body = [0, pubkey, created_at, kind, [list(tag) for tag in tags], content]
    digest = hashlib.sha256(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()).digest()
    return {
        "id": digest.hex(),
        "pubkey": pubkey,
        "created_at": created_at,
        "kind": kind,
        "tags": body[4],
        "content": content,
        "sig": schnorr_sign(digest, KEYS[key]).hex(),
    }


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
