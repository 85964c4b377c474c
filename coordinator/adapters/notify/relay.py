"""Notices as private messages (NIP-17): wrapped for one player, handed to several relays through pynostr."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import msgspec
import structlog
from pynostr.message_pool import MessagePool
from pynostr.relay import Relay
from tornado.ioloop import IOLoop

from coordinator.ports.clock import WallClock
from coordinator.ports.faults import Unreachable
from coordinator.ports.notify import Notice
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.nostr.event import Event, event_body
from coordinator_core.nostr.nip59 import CHAT_KIND, wrap
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.transaction import bytes_from_hex

SERVICE = "relays"
SECONDS = 10.0
"""For one relay: connecting, sending, and its answer."""
CLOSING_SECONDS = 1.0
MAX_WORDS = 100

log = structlog.get_logger()
# It writes addresses of relays and their errors in its own format; what matters is logged here.
logging.getLogger("pynostr").setLevel(logging.CRITICAL)


class RelayNotifier:
    """See ports.notify.Notifier. Players listen on the same relays."""

    def __init__(
        self, relays: Sequence[str], identity: SecretKey, clock: WallClock, *, seconds: float = SECONDS
    ) -> None:
        """`identity` signs the messages: the coordinator's Nostr key. Raises InvalidInput for a bad address."""
        if not relays:
            raise InvalidInput("relays", "none is given", "one address at least", fault=Fault.COORDINATOR)
        self._relays = tuple(_checked(relay) for relay in dict.fromkeys(relays))
        self._identity = identity
        self._clock = clock
        self._seconds = seconds

    async def send(self, lane: str, notice: Notice) -> None:
        """See ports.notify.Notifier. One relay that took it is enough.

        The tag `d` is the same in every copy of one notice, so that a client shows it once. Raises InvalidInput for a
        recipient that is no key or a text too long to be encrypted.
        """
        gift = self._wrapped(lane, notice)
        outcomes = await asyncio.gather(*(self._publish(relay, gift) for relay in self._relays))
        failures = [outcome for outcome in outcomes if outcome is not None]
        for words in failures:
            log.warning("relay did not take a notice", lane=lane, topic=notice.topic, reason=words)
        if len(failures) == len(self._relays):
            raise Unreachable(SERVICE, f"none took the notice: {failures[0]}", fault=Fault.COORDINATOR)

    def _wrapped(self, lane: str, notice: Notice) -> Event:
        recipient, now = bytes_from_hex(notice.recipient, 32, "notice.recipient"), self._clock.now()
        tags = [["p", notice.recipient], ["subject", notice.subject], ["d", f"{lane}/{notice.topic}"]]
        body = event_body(self._identity.x_only, CHAT_KIND, notice.text, tags, created_at=now)
        return wrap(body, self._identity, recipient, now=now)

    async def _publish(self, url: str, gift: Event) -> str | None:
        """None when the relay took the event, else its words or what went wrong."""
        relay = _Publication(url, gift, self._seconds)
        connection = asyncio.ensure_future(relay.connect())
        try:
            waiting = {relay.answer, connection}
            await asyncio.wait(waiting, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if relay.answer.done():
                return relay.answer.result()
            return "closed without an answer" if connection.done() else f"no answer within {self._seconds:g} s"
        finally:
            await relay.close()
            await asyncio.wait({connection}, timeout=CLOSING_SECONDS)


class _Publication(Relay):
    """A connection for one event. What the relay says is read here: pynostr prints some of it and keeps the rest."""

    def __init__(self, url: str, gift: Event, seconds: float) -> None:
        super().__init__(url, MessagePool(), IOLoop.current(), timeout=seconds, close_on_eose=False)
        self.answer: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._event_id = gift.id
        # One try: the duty repeats, not the transport.
        self.error_threshold = self.timeout_error_threshold = 0
        self.publish(f'["EVENT",{gift.to_json().decode()}]')

    def _on_message(self, message: str | bytes) -> None:
        try:
            parts = msgspec.json.decode(message, type=list[Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if parts[:2] != ["OK", self._event_id] or len(parts) < 3 or self.answer.done():
            return
        self.answer.set_result(None if parts[2] is True else _words(parts[3] if len(parts) > 3 else ""))


def _words(remark: object) -> str:
    """What a stranger said, short and on one line."""
    return " ".join(str(remark).split())[:MAX_WORDS] or "refused"


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname or parts.username is not None:
        raise InvalidInput("relays", "holds an address that is no relay's", "wss://HOST", fault=Fault.COORDINATOR)
    return url
