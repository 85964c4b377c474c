"""One message to one relay and what it answers, through pynostr's connection, within a time."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Generic, TypeVar

import msgspec
from pynostr.message_pool import MessagePool
from pynostr.relay import Relay
from tornado.ioloop import IOLoop

CLOSING_SECONDS: Final = 1.0
MAX_WORDS: Final = 100

# It writes addresses of relays and their errors in its own format; what matters is logged by the callers.
logging.getLogger("pynostr").setLevel(logging.CRITICAL)

T = TypeVar("T")


class Silence(Exception):
    """The relay gave no answer; the text says how."""


class Conversation(Relay, ABC, Generic[T]):
    """A connection for one message. What the relay says is read here: pynostr prints some of it and keeps the rest."""

    def __init__(self, url: str, message: bytes, seconds: float) -> None:
        super().__init__(url, MessagePool(), IOLoop.current(), timeout=seconds, close_on_eose=False)
        self.answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._seconds = seconds
        # One try: the duty repeats, not the transport.
        self.error_threshold = self.timeout_error_threshold = 0
        self.publish(message.decode())

    @abstractmethod
    def heard(self, parts: Sequence[Any]) -> None:
        """A message of the relay: settle `answer`, or go on listening."""

    async def hold(self) -> T:
        """Say the message and wait for the answer. Raises Silence."""
        connection = asyncio.ensure_future(self.connect())
        try:
            await asyncio.wait({self.answer, connection}, timeout=self._seconds, return_when=asyncio.FIRST_COMPLETED)
            if self.answer.done():
                return self.answer.result()
            how = "closed without an answer" if connection.done() else f"no answer within {self._seconds:g} s"
            raise Silence(how)
        finally:
            # Not pynostr's close, which ends its reading before the relay's goodbye and leaves the socket open.
            if self.ws is not None:
                self.ws.close()
            await asyncio.wait({connection}, timeout=CLOSING_SECONDS)

    def _on_message(self, message: str | bytes) -> None:
        try:
            parts = msgspec.json.decode(message, type=list[Any])
        except (msgspec.DecodeError, UnicodeDecodeError):
            return
        if parts and not self.answer.done():
            self.heard(parts)


def words(remark: object) -> str:
    """What a stranger said, short and on one line."""
    return " ".join(str(remark).split())[:MAX_WORDS] or "refused"
