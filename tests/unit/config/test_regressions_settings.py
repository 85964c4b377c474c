"""Numbers that bound the work are settings with bounds of their own, refused by name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from coordinator.config.settings import Settings, load_settings
from coordinator.engine.slots import DEFAULT_LIMITS
from coordinator_core.errors import InvalidInput

ROOT = Path(__file__).parents[3]


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The settings of the documentation."""
    text = (ROOT / "docs/settings.md").read_text().partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "coordinator.toml").write_text(text)
    return tmp_path / "coordinator.toml"


def load(path: Path, name: str, value: object) -> Settings:
    return load_settings(path, {f"COORDINATOR_{name}": str(value)})


def test_every_bound_of_parallel_work_is_a_setting_with_the_default_of_the_code(example: Path) -> None:
    assert msgspec.to_builtins(load_settings(example, {}).duties) == dict(DEFAULT_LIMITS)


@pytest.mark.parametrize("channel", sorted(DEFAULT_LIMITS))
def test_each_can_be_set_within_bounds_and_is_refused_by_name_beyond(example: Path, channel: str) -> None:
    name = f"DUTIES_{channel.upper()}"
    assert getattr(load(example, name, 3).duties, channel) == 3
    for bad in (0, -1, 10**6, "many"):
        with pytest.raises(InvalidInput, match=rf"duties\.{channel}"):
            load(example, name, bad)


@pytest.mark.parametrize("bad", [0, -1, 10**6, "all"])
def test_closings_at_once_are_bounded(example: Path, bad: object) -> None:
    assert load(example, "CLOSINGS_AT_ONCE", 5).closings_at_once == 5
    with pytest.raises(InvalidInput, match="closings_at_once"):
        load(example, "CLOSINGS_AT_ONCE", bad)
