"""What a life of the coordinator did for each duty, written down as it happens: an observer of the engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from msgspec import Struct

from coordinator.domain.duties import Channel
from coordinator.ports.leasing import DutyRow


class Note(Struct, frozen=True):
    """One boundary of an attempt."""

    what: str
    duty: str
    fence: int


class RecordingObserver:
    """See engine.observer.EngineObserver. Attempts that only listen are left out: nothing hangs on their ends."""

    def __init__(self, path: Path) -> None:
        # Appended in one call each, so that a process that ends in between leaves whole lines.
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def applied(self, lane: str, states: Sequence[str]) -> None:
        """See EngineObserver."""

    def answered(self, lane: str, kind: str) -> None:
        """See EngineObserver."""

    def claimed(self, row: DutyRow) -> None:
        """See EngineObserver."""
        self._note("claimed", row)

    def pinning(self, duty: str, slot: str) -> None:
        """See EngineObserver."""

    def pinned(self, duty: str, slot: str) -> None:
        """See EngineObserver."""

    def executed(self, row: DutyRow) -> None:
        """See EngineObserver."""
        self._note("executed", row)

    def completed(self, row: DutyRow) -> None:
        """See EngineObserver."""
        self._note("completed", row)

    def _note(self, what: str, row: DutyRow) -> None:
        if row.channel != Channel.WATCH.value:
            os.write(self._file, msgspec.json.encode(Note(what, row.id, row.fence)) + b"\n")


@dataclass(frozen=True, slots=True)
class Recording:
    """What all lives did, one after the other."""

    notes: Sequence[Note]

    @classmethod
    def read(cls, path: Path) -> Recording:
        """From the file; empty when nobody wrote any."""
        lines = path.read_bytes().splitlines() if path.exists() else []
        return cls([msgspec.json.decode(line, type=Note) for line in lines])

    def done(self) -> int:
        """Attempts whose outcome is in the database."""
        return sum(note.what == "completed" for note in self.notes)

    def cut_off(self) -> int:
        """Attempts that were begun and never had an outcome."""
        begun = {(n.duty, n.fence) for n in self.notes if n.what == "claimed"}
        return len(begun - {(n.duty, n.fence) for n in self.notes if n.what == "executed"})

    def done_again(self) -> Iterator[str]:
        """Duties that had an outcome which was not written down, and were done again for that."""
        written = {(n.duty, n.fence) for n in self.notes if n.what == "completed"}
        lost: dict[str, int] = {}
        for note in self.notes:
            if note.what != "executed":
                continue
            if note.duty in lost:
                yield f"{note.duty}: done under fence {lost.pop(note.duty)}, and again under {note.fence}"
            if (note.duty, note.fence) not in written:
                lost[note.duty] = note.fence
