"""Which settings file `coordinator run` takes when none is named."""

from pathlib import Path

import pytest

from coordinator.cli.chosen import DEFAULT, choose
from coordinator_core.errors import InvalidInput


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COORDINATOR_PASSPHRASE", raising=False)
    monkeypatch.delenv("COORDINATOR_PASSPHRASE_FILE", raising=False)
    return tmp_path


@pytest.fixture
def started(here: Path) -> Path:
    """What `coordinator start` leaves behind."""
    (here / ".dev").mkdir()
    for name, text in {"coordinator.toml": "", "stack.json": "{}", "passphrase": "of the stack"}.items():
        (here / ".dev" / name).write_text(text)
    return here


def test_without_services_it_is_the_file_that_is_to_be_made(here: Path) -> None:
    assert choose(None).path == DEFAULT
    with pytest.raises(InvalidInput):
        choose(None).passphrase()


def test_the_file_of_the_services(started: Path) -> None:
    assert choose(None).path == Path(".dev/coordinator.toml")
    assert choose(None).passphrase().reveal() == b"of the stack"
    assert choose(started / ".dev" / "coordinator.toml").passphrase().reveal() == b"of the stack"


def test_an_own_file_comes_first_and_has_its_own_passphrase(started: Path) -> None:
    (started / "coordinator.toml").write_text("")
    assert choose(None).path == DEFAULT
    (started / "passphrase").write_text("never looked at")
    with pytest.raises(InvalidInput):
        choose(None).passphrase()


def test_a_variable_comes_before_the_file(started: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDINATOR_PASSPHRASE", "mine")
    assert choose(None).passphrase().reveal() == b"mine"
