"""Subscription filters of NIP-01: every condition of one filter, any filter of a subscription."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from coordinator.embedded.relay import limits
from coordinator.embedded.relay.errors import RelayRefusal
from coordinator.embedded.relay.event import Event, is_hex, is_natural, is_tag_letter

_MAX_NUMBER: Final = (1 << 53) - 1


@dataclass(frozen=True)
class Filter:
    """What a client asks for; None leaves a condition out, an empty set matches nothing."""

    ids: frozenset[str] | None = None
    authors: frozenset[str] | None = None
    kinds: frozenset[int] | None = None
    tags: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    since: int | None = None
    until: int | None = None
    limit: int = limits.MAX_LIMIT

    def matches(self, event: Event) -> bool:
        """Every condition but the limit, which is for stored events."""
        conditions = (
            self.ids is None or event.id in self.ids,
            self.authors is None or event.pubkey in self.authors,
            self.kinds is None or event.kind in self.kinds,
            self.since is None or event.created_at >= self.since,
            self.until is None or event.created_at <= self.until,
        )
        if not all(conditions):
            return False
        indexed = event.indexed_tags()
        return all(any((name, value) in indexed for value in wanted) for name, wanted in self.tags.items())


def parse_filter(value: object) -> Filter:
    """A filter from outside. Raises RelayRefusal naming the field."""
    if not isinstance(value, dict):
        raise RelayRefusal("a filter is an object")
    fields: dict[str, Any] = {}
    tags: dict[str, frozenset[str]] = {}
    for name, item in value.items():
        if name.startswith("#") and is_tag_letter(name[1:]):
            tags[name[1:]] = _values(name, item, _is_text(name))
        elif name in ("ids", "authors"):
            fields[name] = _values(name, item, lambda entry: is_hex(entry, 64))
        elif name == "kinds":
            fields[name] = _values(name, item, lambda entry: is_natural(entry, 65_535))
        elif name in ("since", "until", "limit"):
            fields[name] = _number(name, item)
        else:
            raise RelayRefusal(f"filter field {name[:40]!r} is unknown")
    return Filter(**fields, tags=tags)


def _is_text(name: str) -> Callable[[object], bool]:
    if name in ("#e", "#p"):
        return lambda entry: is_hex(entry, 64)
    return lambda entry: isinstance(entry, str)


def _values(name: str, items: object, fits: Callable[[object], bool]) -> frozenset[Any]:
    if not isinstance(items, list) or len(items) > limits.MAX_FILTER_VALUES:
        raise RelayRefusal(f"filter field {name} is not a list, or too long")
    if not all(fits(item) for item in items):
        raise RelayRefusal(f"filter field {name} holds a value of another kind")
    return frozenset(items)


def _number(name: str, value: object) -> int:
    if not isinstance(value, int) or not is_natural(value, _MAX_NUMBER):
        raise RelayRefusal(f"filter field {name} is not a natural number")
    return min(value, limits.MAX_LIMIT) if name == "limit" else value
