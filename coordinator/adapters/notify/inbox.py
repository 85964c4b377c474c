"""Where a player wants private messages: the relays of their list of kind 10050 (NIP-17)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import structlog

from coordinator.adapters.notify.address import named_by_a_stranger
from coordinator.adapters.notify.conversation import Conversation, Silence
from coordinator_core.errors import CoreError
from coordinator_core.nostr.event import Event, parse_event
from coordinator_core.units import UnixTime

LIST_KIND: Final = 10_050
MAX_RELAYS: Final = 3
"""NIP-17 asks for lists of one to three."""
MAX_TAGS: Final = 20
"""Of one list that are looked at."""
MAX_EVENTS: Final = 8
"""Of one relay; one is asked for."""
AHEAD_SECONDS: Final = 900
_NAME: Final = "inbox"

log = structlog.get_logger()


async def inbox_relays(
    recipient: str, relays: Sequence[str], *, now: UnixTime, seconds: float, loopback: bool
) -> tuple[str, ...]:
    """The relays that a player's newest list names, at most three; none when no relay knows a list.

    `recipient` is an x-only key in hex, `relays` are the ones that are asked, each at most `seconds` long; who gives no
    answer is left out. `loopback`: addresses on this machine are connected to (development).
    """
    found = await asyncio.gather(*(_ask(relay, recipient, now, seconds) for relay in relays))
    lists = [event for events in found for event in events]
    if not lists:
        return ()
    # As NIP-01 rules replaceable events: the newest, of several the lowest id.
    newest = min(lists, key=lambda event: (-event.created_at, event.id))
    named = [tag[1] for tag in newest.tags[:MAX_TAGS] if len(tag) > 1 and tag[0] == "relay"]
    try:
        async with asyncio.timeout(seconds):
            usable = [await named_by_a_stranger(url, loopback=loopback) for url in dict.fromkeys(named)]
    except TimeoutError:
        return ()
    return tuple(dict.fromkeys(url for url in usable if url is not None))[:MAX_RELAYS]


async def _ask(relay: str, recipient: str, now: UnixTime, seconds: float) -> list[Event]:
    try:
        raws = await _Question(relay, recipient, seconds).hold()
    except Silence as silence:
        log.info("relay told no inbox", reason=str(silence))
        return []
    return [event for raw in raws if (event := _list_of(raw, recipient, now)) is not None]


def _list_of(raw: Any, recipient: str, now: UnixTime) -> Event | None:
    """A list that the recipient signed. A relay may serve anything; what is no such list is passed over."""
    try:
        event = parse_event(msgspec.json.encode(raw))
    except CoreError:
        return None
    theirs = event.kind == LIST_KIND and event.pubkey == recipient
    return event if theirs and event.created_at <= now + AHEAD_SECONDS else None


class _Question(Conversation[list[Any]]):
    """The newest list of one author; what came until the relay has told all it stores."""

    def __init__(self, url: str, recipient: str, seconds: float) -> None:
        query = {"kinds": [LIST_KIND], "authors": [recipient], "limit": 1}
        super().__init__(url, msgspec.json.encode(["REQ", _NAME, query]), seconds)
        self._found: list[Any] = []

    def heard(self, parts: Sequence[Any]) -> None:
        """See Conversation."""
        if parts[:2] == ["EVENT", _NAME] and len(parts) > 2:
            self._found.append(parts[2])
        if parts[0] in ("EOSE", "CLOSED") or len(self._found) >= MAX_EVENTS:
            self.answer.set_result(self._found)
