import pytest

from coordinator.player.http import NoAnswer, ServerRefused
from coordinator.player.pace import LATER, Pace


@pytest.fixture
def pauses(monkeypatch):
    """Every pause that was made, without waiting."""
    made: list[float] = []

    async def pause(seconds: float) -> None:
        made.append(seconds)

    monkeypatch.setattr("coordinator.player.pace.asyncio.sleep", pause)
    return made


async def test_looks_are_rare_while_nothing_changes_and_soon_after_a_change(pauses):
    pace = Pace(lambda _: None)
    for _ in range(9):
        await pace.wait("open", 5.0)
    assert pauses[0] == 0.5
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5.0
    await pace.wait("closing", 5.0)
    assert pauses[-1] == 0.5


async def test_trouble_that_passes_is_told_once_and_any_other_is_raised(pauses):
    said: list[str] = []
    pace = Pace(said.append)
    for _ in range(3):
        await pace.after(NoAnswer("coordinator", "ConnectError"), 5.0)
    await pace.after(ServerRefused("coordinator", 409, "competition.conflict", "moved on"), 5.0)
    assert len(said) == 2
    assert len(pauses) == 4
    for status, passing in ((400, None), (401, None), (409, LATER)):
        error = ServerRefused("coordinator", status, "x", "y")
        with pytest.raises(ServerRefused):
            await (pace.after(error, 5.0) if passing is None else pace.after(error, 5.0, passing))
