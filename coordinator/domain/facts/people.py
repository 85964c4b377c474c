"""What people were told, and what they asked for."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.facts.base import Fact
from coordinator_core.units import UnixTime


class Notified(Fact, frozen=True, kw_only=True, tag="notified"):
    """A player was told of a topic, the last time at `at` (wall clock), or no relay took it after several tries."""

    repeatable: ClassVar[bool] = True
    entry_id: str
    topic: str
    delivered: bool
    at: UnixTime
    number: int = 1
    """Of the message: a reminder is another one."""
    times: int = 1
    """How often, since the window that it is about opened."""

    @property
    def key(self) -> str:
        return f"{self.topic}/{self.entry_id}"

    @property
    def rank(self) -> int:
        return self.number


class CancelAsked(Fact, frozen=True, kw_only=True, tag="cancel_asked"):
    """Somebody who runs the coordinator asked to cancel before the funding. Whether that is enough: `cancelling`."""

    by: str
    """`operator`, or an owner's x-only key (hex)."""
    reason: str
    is_owner: bool = False
    """Asked with a key of the owners."""

    @property
    def key(self) -> str:
        return self.by


class NeedsOperator(Fact, frozen=True, kw_only=True, tag="needs_operator"):
    """Trouble that a person must look at; nothing protective stops for it."""

    repeatable: ClassVar[bool] = True
    topic: str
    reason: str
    resume: str

    @property
    def key(self) -> str:
        return self.topic
