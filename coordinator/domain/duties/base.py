"""What every duty has: where it goes, how urgent it is, and what it is named by."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from typing import ClassVar

from msgspec import Struct


class Channel(StrEnum):
    """The dependency a duty talks to: limits, breakers and order are by channel."""

    ORACLE = "oracle"
    KEYMELD = "keymeld"
    LIGHTNING = "lightning"
    CHAIN = "chain"
    LOCAL = "local"
    NOTIFY = "notify"
    WATCH = "watch"
    """Open streams of Lightning: many, idle, and never in the way of a settle or cancel."""


class Urgency(IntEnum):
    """Who gets the next free slot of a channel, the lowest number first. A share is kept for the others, so a flood of
    one class starves none.
    """

    MONEY = 0
    """Somebody's money hangs on the next block or minute: settle, cancel, decide, broadcast, bump, pay."""
    CLOSING = 1
    """People sit in front of a page until it is done."""
    ROUTINE = 2
    NOTICE = 3
    """Watches and messages: later costs nothing."""


class Duty(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every duty."""

    version: ClassVar[int] = 1
    """Of the stored row; the next one when what is stored changes, with an upcaster (`versions`)."""
    channel: ClassVar[Channel]
    urgency: ClassVar[Urgency] = Urgency.ROUTINE
    protective: ClassVar[bool]
    """Leaving it undone can cost someone money, and doing it takes none: settle, cancel, outcome, split, sweep, watch.
    Neither a gate nor a stopped competition holds it back. The others are expansive: they wait. Which of the two a
    duty is where it depends on facts, see `protection.protects`."""

    @property
    def key(self) -> str:
        """Natural key within (competition, kind)."""
        return ""

    @classmethod
    def kind(cls) -> str:
        """The tag under which it is stored."""
        return str(cls.__struct_config__.tag)

    def id(self, lane: str) -> str:
        """Unique over all competitions."""
        return f"{lane}/{self.kind()}/{self.key}"


class OfAttempt(Duty, frozen=True, kw_only=True):
    """Base of duties of which there is one in each attempt of a closing."""

    attempt: int

    @property
    def key(self) -> str:
        return str(self.attempt)
