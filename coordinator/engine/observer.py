"""What can be seen of the engine at work: its boundaries, in the order in which a crash could fall between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from coordinator.ports.leasing import DutyRow


class EngineObserver(Protocol):
    """Called in the engine's own task, after the commit or before the write that the name says. Must not raise: what
    an observer thinks of the engine is no reason for the engine to stop.
    """

    def applied(self, lane: str, states: Sequence[str]) -> None:
        """A lane went through these states; the transaction is committed."""
        ...

    def answered(self, lane: str, kind: str) -> None:
        """A command is committed; who sent it has no answer yet."""
        ...

    def claimed(self, row: DutyRow) -> None:
        """A duty is leased; nothing was done for it in this attempt."""
        ...

    def pinning(self, duty: str, slot: str) -> None:
        """A value is made and about to be written down."""
        ...

    def pinned(self, duty: str, slot: str) -> None:
        """The value is written down; nothing outside has heard of it."""
        ...

    def executed(self, row: DutyRow) -> None:
        """The executor is done outside; its outcome is not written down."""
        ...

    def completed(self, row: DutyRow) -> None:
        """The outcome and the facts it produced are committed."""
        ...


class Unobserved:
    """Nobody looks."""

    def applied(self, lane: str, states: Sequence[str]) -> None:
        """See EngineObserver."""

    def answered(self, lane: str, kind: str) -> None:
        """See EngineObserver."""

    def claimed(self, row: DutyRow) -> None:
        """See EngineObserver."""

    def pinning(self, duty: str, slot: str) -> None:
        """See EngineObserver."""

    def pinned(self, duty: str, slot: str) -> None:
        """See EngineObserver."""

    def executed(self, row: DutyRow) -> None:
        """See EngineObserver."""

    def completed(self, row: DutyRow) -> None:
        """See EngineObserver."""


UNOBSERVED = Unobserved()
