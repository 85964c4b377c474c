"""One client's conversation with the relay (NIP-01): messages in, messages out, no socket."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final, NoReturn

from coordinator.embedded.relay import limits
from coordinator.embedded.relay.errors import RelayRefusal
from coordinator.embedded.relay.event import Event, is_hex, verify_event
from coordinator.embedded.relay.filters import Filter, parse_filter
from coordinator.embedded.relay.store import Added, EventStore

Say = Callable[[str], None]
_REMARKS: Final = {
    Added.STORED: "",
    Added.PASSED_ON: "",
    Added.DUPLICATE: "duplicate: already have this event",
    Added.OUTDATED: "duplicate: have a newer event in its place",
}


class Hub:
    """The store, and everyone who listens."""

    def __init__(self, store: EventStore, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.clock = clock
        self.sessions: set[Session] = set()

    def publish(self, event: Event) -> Added:
        """Keep an event and hand it to all subscriptions it matches."""
        outcome = self.store.add(event)
        if outcome in (Added.STORED, Added.PASSED_ON):
            for session in list(self.sessions):
                session.hear(event)
        return outcome


class Session:
    """A client: `say` sends it one text message."""

    def __init__(self, hub: Hub, say: Say) -> None:
        self._hub = hub
        self._say = say
        self._subscriptions: dict[str, list[Filter]] = {}
        hub.sessions.add(self)

    def close(self) -> None:
        """The client has gone."""
        self._hub.sessions.discard(self)

    def receive(self, message: str) -> None:
        """Answer one message; whatever it is, the relay stays up."""
        try:
            kind, arguments = _parse(message)
            handler = {"EVENT": self._event, "REQ": self._request, "CLOSE": self._close}.get(kind)
            if handler is None:
                raise RelayRefusal(f"message {kind[:20]!r} is unknown")
            handler(arguments)
        except RelayRefusal as refusal:
            self._tell("NOTICE", str(refusal))

    def hear(self, event: Event) -> None:
        """Pass a new event on to the subscriptions it matches."""
        for name, filters in self._subscriptions.items():
            if any(wanted.matches(event) for wanted in filters):
                self._tell("EVENT", name, event.as_json())

    def _event(self, arguments: list[Any]) -> None:
        if len(arguments) != 1:
            raise RelayRefusal("EVENT takes one event")
        value = arguments[0]
        try:
            event = verify_event(value, self._hub.clock())
        except RelayRefusal as refusal:
            event_id = value.get("id") if isinstance(value, dict) else None
            if not is_hex(event_id, 64):
                raise
            self._tell("OK", event_id, False, str(refusal))
            return
        outcome = self._hub.publish(event)
        self._tell("OK", event.id, True, _REMARKS[outcome])

    def _request(self, arguments: list[Any]) -> None:
        name = _subscription_id(arguments)
        try:
            filters = self._filters(name, arguments[1:])
        except RelayRefusal as refusal:
            self._subscriptions.pop(name, None)
            self._tell("CLOSED", name, str(refusal))
            return
        self._subscriptions[name] = filters
        told: set[str] = set()
        for wanted in filters:
            for body in self._hub.store.find(wanted):
                if body not in told:
                    told.add(body)
                    self._say(f'["EVENT",{json.dumps(name)},{body}]')
        self._tell("EOSE", name)

    def _filters(self, name: str, values: list[Any]) -> list[Filter]:
        if not 1 <= len(values) <= limits.MAX_FILTERS:
            raise RelayRefusal(f"REQ takes 1 to {limits.MAX_FILTERS} filters")
        if name not in self._subscriptions and len(self._subscriptions) >= limits.MAX_SUBSCRIPTIONS:
            raise RelayRefusal(f"at most {limits.MAX_SUBSCRIPTIONS} subscriptions", "rate-limited")
        return [parse_filter(value) for value in values]

    def _close(self, arguments: list[Any]) -> None:
        self._subscriptions.pop(_subscription_id(arguments), None)

    def _tell(self, *parts: Any) -> None:
        self._say(json.dumps(parts, ensure_ascii=False, separators=(",", ":")))


def _subscription_id(arguments: list[Any]) -> str:
    name = arguments[0] if arguments else None
    if not isinstance(name, str) or not 1 <= len(name) <= limits.MAX_SUBSCRIPTION_ID or not name.isprintable():
        raise RelayRefusal(f"a subscription id is 1 to {limits.MAX_SUBSCRIPTION_ID} printable letters")
    return name


def _parse(message: str) -> tuple[str, list[Any]]:
    if len(message) > limits.MAX_MESSAGE_BYTES:
        raise RelayRefusal("message is too long")
    if message.count("[") + message.count("{") > limits.MAX_BRACKETS:
        raise RelayRefusal("message is nested too deeply")
    try:
        value = json.loads(message, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise RelayRefusal("message is not JSON") from error
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise RelayRefusal("a message is an array that starts with its kind")
    return value[0], value[1:]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
