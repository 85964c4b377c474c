"""Messages to players: NIP-17 to the entry's Nostr key. At most once shown; nothing depends on delivery."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Notice(Struct, frozen=True):
    """One message. `topic` makes it unique for its recipient within a lane."""

    recipient: str
    """x-only public key, hex."""
    topic: str
    subject: str
    text: str


class Notifier(Protocol):
    """Delivers notices; raises faults.Unreachable when no relay took it."""

    async def send(self, lane: str, notice: Notice) -> None:
        """Hand a notice to the relays."""
        ...
