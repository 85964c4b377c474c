"""Processes in the background: recognised, refused, ended, and no other process touched."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator.cli.dev.background import Background
from coordinator.cli.dev.processes import Process
from coordinator.cli.stack import DidNotStart
from coordinator_core.errors import InvalidInput

SLEEPER = 'import signal; print(\'{"url": "x"}\', flush=True); signal.pause()'
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER.removeprefix("import signal; ")


@pytest.fixture
def background(tmp_path: Path) -> Iterator[Background]:
    made = Background(tmp_path)
    with made.alone():
        pass
    yield made
    list(made.stop())


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody else's."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with process:
        yield process
        process.kill()


def launch(background: Background, tmp_path: Path, name: str = "one", code: str = SLEEPER) -> subprocess.Popen[str]:
    child = background.launch(name, [sys.executable, "-c", code], tmp_path / "logs" / f"{name}.log")
    assert child.ready == {"url": "x"}
    return child.process


def test_what_was_started_is_known_to_whoever_comes_later(background: Background, tmp_path: Path) -> None:
    process = launch(background, tmp_path)
    later = Background(tmp_path)
    assert later.running() == ("one",)
    with pytest.raises(InvalidInput, match="one run there already"):
        later.refuse_when_running()
    assert list(later.stop()) == [("one", "stopped")]
    assert process.wait(10) == -15
    assert later.running() == ()
    later.refuse_when_running()
    assert list(later.stop()) == []


def test_the_last_one_is_ended_first(background: Background, tmp_path: Path) -> None:
    started = [launch(background, tmp_path, name) for name in ("b", "c", "a")]
    assert [name for name, _ in background.stop()] == ["a", "c", "b"]
    assert [process.wait(10) for process in started] == [-15] * 3


def test_a_number_that_another_process_has_by_now_is_left_alone(
    background: Background, tmp_path: Path, stranger: subprocess.Popen[bytes]
) -> None:
    process = launch(background, tmp_path)
    process.kill()
    process.wait(10)
    ours = Process.of(os.getpid())
    assert ours is not None
    # Of an earlier moment than the stranger: two processes of one clock tick would look alike.
    record = {"order": 0, "process": {"pid": stranger.pid, "started": ours.started}}
    (tmp_path / "run" / "one.pid").write_text(json.dumps(record))
    assert background.running() == ()
    assert list(background.stop()) == [("one", "had ended")]
    assert stranger.poll() is None


def test_one_that_does_not_listen_is_killed(
    background: Background, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordinator.cli.dev.background.STOP_SECONDS", 0.2)
    process = launch(background, tmp_path, code=STUBBORN)
    assert list(background.stop()) == [("one", "killed: it did not end")]
    assert process.wait(10) == -9


def test_one_that_ended_at_once_says_why_and_leaves_nothing(background: Background, tmp_path: Path) -> None:
    with pytest.raises(DidNotStart, match="the port is taken"):
        launch(background, tmp_path, code="import sys; sys.exit('the port is taken')")
    assert background.running() == ()
    assert not list((tmp_path / "run").glob("*.pid"))


def test_two_commands_do_not_work_in_one_directory(background: Background, tmp_path: Path) -> None:
    with background.alone(), pytest.raises(InvalidInput, match="at work"), Background(tmp_path).alone():
        raise AssertionError
    with Background(tmp_path).alone():
        assert background.running() == ()


def test_a_file_that_is_not_ours_is_named(background: Background, tmp_path: Path) -> None:
    (tmp_path / "run" / "bad.pid").write_text("17")
    with pytest.raises(InvalidInput, match=r"bad\.pid"):
        background.running()
    (tmp_path / "run" / "bad.pid").unlink()


def test_a_process_is_its_number_and_its_start(stranger: subprocess.Popen[bytes]) -> None:
    found = Process.of(stranger.pid)
    assert found is not None
    assert found.runs()
    assert not Process(pid=stranger.pid, started="another time").runs()
    stranger.kill()
    stranger.wait(10)
    assert not found.runs()
    assert Process.of(stranger.pid) is None


def test_one_that_ended_but_was_not_waited_for_does_not_run(stranger: subprocess.Popen[bytes]) -> None:
    found = Process.of(stranger.pid)
    assert found is not None
    stranger.kill()
    assert found.stop(10)
    assert Process.of(stranger.pid) is None
