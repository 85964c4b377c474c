"""Notices as private messages (NIP-17): wrapped for one player, handed to several relays through pynostr."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import structlog

from coordinator.adapters.notify.address import configured
from coordinator.adapters.notify.conversation import Conversation, Silence, words
from coordinator.adapters.notify.inbox import inbox_relays
from coordinator.ports.clock import WallClock
from coordinator.ports.faults import Unreachable
from coordinator.ports.notify import Notice
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.nostr.event import Event, event_body
from coordinator_core.nostr.nip59 import CHAT_KIND, wrap
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.transaction import bytes_from_hex

SERVICE: Final = "relays"
SECONDS: Final = 10.0
"""For one relay: connecting, sending, and its answer."""

log = structlog.get_logger()


class RelayNotifier:
    """See ports.notify.Notifier. To the relays of the settings, and to those of the player's own list."""

    def __init__(
        self,
        relays: Sequence[str],
        identity: SecretKey,
        clock: WallClock,
        *,
        seconds: float = SECONDS,
        loopback_inboxes: bool = False,
    ) -> None:
        """`identity` signs the messages: the coordinator's Nostr key. `loopback_inboxes` is for development: players'
        lists may name relays on this machine. Raises InvalidInput for a bad address.
        """
        if not relays:
            raise InvalidInput("relays", "none is given", "one address at least", fault=Fault.COORDINATOR)
        self._relays = tuple(dict.fromkeys(configured(relay) for relay in relays))
        self._identity = identity
        self._clock = clock
        self._seconds = seconds
        self._loopback = loopback_inboxes

    async def send(self, lane: str, notice: Notice) -> None:
        """See ports.notify.Notifier. One relay that took it is enough.

        The tag `d` is the same in every copy of one notice, so that a client shows it once. Raises InvalidInput for a
        recipient that is no key or a text too long to be encrypted.
        """
        gift = self._wrapped(lane, notice)
        inbox = await inbox_relays(
            notice.recipient, self._relays, now=self._clock.now(), seconds=self._seconds, loopback=self._loopback
        )
        relays = tuple(dict.fromkeys((*self._relays, *inbox)))
        outcomes = await asyncio.gather(*(self._publish(relay, gift) for relay in relays))
        failures = [outcome for outcome in outcomes if outcome is not None]
        for remark in failures:
            log.warning("relay did not take a notice", lane=lane, topic=notice.topic, reason=remark)
        if len(failures) == len(relays):
            raise Unreachable(SERVICE, f"none took the notice: {failures[0]}", fault=Fault.COORDINATOR)

    def _wrapped(self, lane: str, notice: Notice) -> Event:
        recipient, now = bytes_from_hex(notice.recipient, 32, "notice.recipient"), self._clock.now()
        tags = [["p", notice.recipient], ["subject", notice.subject], ["d", f"{lane}/{notice.topic}"]]
        body = event_body(self._identity.x_only, CHAT_KIND, notice.text, tags, created_at=now)
        return wrap(body, self._identity, recipient, now=now)

    async def _publish(self, url: str, gift: Event) -> str | None:
        """None when the relay took the event, else its words or what went wrong."""
        try:
            return await _Publication(url, gift, self._seconds).hold()
        except Silence as silence:
            return str(silence)


class _Publication(Conversation[str | None]):
    """One event handed over; the answer is None, or the relay's reason not to take it."""

    def __init__(self, url: str, gift: Event, seconds: float) -> None:
        super().__init__(url, b'["EVENT",%b]' % gift.to_json(), seconds)
        self._event_id = gift.id

    def heard(self, parts: Sequence[Any]) -> None:
        """See Conversation."""
        if parts[:2] == ["OK", self._event_id] and len(parts) > 2:
            self.answer.set_result(None if parts[2] is True else words(parts[3] if len(parts) > 3 else ""))
