"""A worker that slept through its leases: whatever it hands in afterwards is rejected, and leaves no fact."""

from __future__ import annotations

from pathlib import Path

from tests.support.zombies import Late, late_completions


async def test_every_late_completion_is_rejected(new_database: Path) -> None:
    assert await late_completions(new_database, 40) == Late(completions=40, rejected=40, facts=0, done=40)
