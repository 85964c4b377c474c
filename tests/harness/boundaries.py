"""The boundaries of a duty as places to die: an observer of the engine that kills its own process (harness H-KILL)."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Mapping, Sequence
from enum import StrEnum

import msgspec
from msgspec import Struct

from coordinator.ports.leasing import DutyRow


class Boundary(StrEnum):
    """Where a kill falls."""

    CLAIMED = "after claim"
    BEFORE_PIN = "before pin"
    AFTER_PIN = "after pin"
    AFTER_EFFECT = "after effect"
    AFTER_COMPLETION = "after completion"
    IN_STATE = "in state"
    BEFORE_ANSWER = "before answer"


class Arming(Struct, frozen=True):
    """How one life of the coordinator is to end by itself. `met` counts earlier kills by "boundary: kind"."""

    seed: str
    met: Mapping[str, int]
    again: float
    """Chance to die at a boundary where a kill fell before; one where none fell yet is nearly sure."""
    calm: str
    """While this file exists nobody dies."""
    first: float = 0.9


class Death(Struct, frozen=True):
    """Last words of a process that killed itself."""

    boundary: str
    kind: str
    subject: str

    @property
    def place(self) -> str:
        """What is counted."""
        return f"{self.boundary}: {self.kind}"


class DyingObserver:
    """See engine.observer.EngineObserver; SIGKILL by its own hand, its last words on a file descriptor."""

    def __init__(self, arming: Arming, words: int) -> None:
        self._rng = random.Random(arming.seed)
        self._arming = arming
        self._words = words

    def applied(self, lane: str, states: Sequence[str]) -> None:
        """See EngineObserver."""
        for state in states:
            self._reach(Boundary.IN_STATE, state, lane)

    def answered(self, lane: str, kind: str) -> None:
        """See EngineObserver."""
        self._reach(Boundary.BEFORE_ANSWER, kind, lane)

    def claimed(self, row: DutyRow) -> None:
        """See EngineObserver."""
        self._reach(Boundary.CLAIMED, row.kind, row.id)

    def pinning(self, duty: str, slot: str) -> None:
        """See EngineObserver."""
        self._reach(Boundary.BEFORE_PIN, f"{_kind(duty)} {slot_of(slot)}", duty)

    def pinned(self, duty: str, slot: str) -> None:
        """See EngineObserver."""
        self._reach(Boundary.AFTER_PIN, f"{_kind(duty)} {slot_of(slot)}", duty)

    def executed(self, row: DutyRow) -> None:
        """See EngineObserver."""
        self._reach(Boundary.AFTER_EFFECT, row.kind, row.id)

    def completed(self, row: DutyRow) -> None:
        """See EngineObserver."""
        self._reach(Boundary.AFTER_COMPLETION, row.kind, row.id)

    def _reach(self, boundary: Boundary, kind: str, subject: str) -> None:
        death = Death(boundary.value, kind, subject)
        met = self._arming.met.get(death.place, 0)
        if self._rng.random() >= (self._arming.again if met else self._arming.first):
            return
        if os.path.exists(self._arming.calm):
            return
        os.write(self._words, msgspec.json.encode({"death": death}) + b"\n")
        os.kill(os.getpid(), signal.SIGKILL)


def _kind(duty: str) -> str:
    """The kind out of a duty's id."""
    return duty.split("/")[1]


def slot_of(slot: str) -> str:
    """A slot's name; those that are ids or numbers of something count as one."""
    return slot if slot.isalpha() else "item"
