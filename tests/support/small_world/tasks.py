"""A duty as a worker has it, and what became of an attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from coordinator.domain.competitions import states as s
from coordinator.domain.facts import Fact
from coordinator.domain.lane import Lane


@dataclass(frozen=True)
class Result:
    """`done`: the duty ends with these facts; else it is looked at again."""

    done: bool
    facts: list[Fact] = field(default_factory=list[Fact])


DONE, AGAIN = Result(True), Result(False)
Reread = Callable[[], tuple[s.Competition, Lane]]


@dataclass(frozen=True)
class Task:
    """A duty with the competition as it was when it was claimed; `now` reads it again."""

    duty: Any
    state: Any
    lane: Lane
    now: Reread
    stopped: bool = False


def told(*facts: Fact) -> Result:
    return Result(True, list(facts))
