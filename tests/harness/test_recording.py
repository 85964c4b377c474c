"""What counts as done twice under SIGTERM."""

from __future__ import annotations

from pathlib import Path

import pytest

from coordinator.ports.leasing import DutyRow
from tests.harness.recording import Note, Recording, RecordingObserver


def row(channel: str = "chain", fence: int = 1) -> DutyRow:
    return DutyRow("lane/x/1", "lane", channel, "x", b"{}", 1, 0, fence)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    observer = RecordingObserver(tmp_path / "duties")
    observer.claimed(row())
    observer.executed(row())
    observer.claimed(row("watch"))
    observer.completed(row())
    observer.claimed(row(fence=2))
    found = Recording.read(tmp_path / "duties")
    assert [note.what for note in found.notes] == ["claimed", "executed", "completed", "claimed"]
    assert (found.done(), found.cut_off(), list(found.done_again())) == (1, 1, [])
    assert Recording.read(tmp_path / "none").notes == []


@pytest.mark.parametrize(
    ("notes", "right"),
    [
        (["executed 1", "completed 1", "executed 2", "completed 2"], True),
        (["executed 1", "claimed 2"], True),
        (["executed 1", "executed 2", "completed 2"], False),
        (["claimed 1", "executed 2", "completed 2"], True),
    ],
)
def test_an_outcome_that_was_lost_and_had_again_is_seen(notes: list[str], right: bool) -> None:
    found = Recording([Note(what, "d", int(fence)) for what, fence in (note.split() for note in notes)])
    assert (list(found.done_again()) == []) is right
