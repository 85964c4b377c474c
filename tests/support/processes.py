"""Keeps unit and property tests to their own process: what starts another one belongs to tests/services,
tests/contract or tests/e2e. The conftests of tests/unit and tests/property load these hooks and the fixture."""

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator

import pytest

STARTS = frozenset({"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "os.exec"})
_STARTED = pytest.StashKey[list[str]]()
_watching: list[list[str]] = []


class ProcessStarted(Exception):
    """A test that stays in its own process tried to start another one."""


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if _watching and event in STARTS:
        _watching[-1].append(f"{event}{arguments[:2]!r}")
        raise ProcessStarted(_watching[-1][-1])


# An audit hook also sees what a library starts, and stays for the life of the interpreter: it is put in place once.
sys.addaudithook(_audit)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Watch a test from before its first fixture, of whatever scope, unless its mark gives a reason not to."""
    started = item.stash.setdefault(_STARTED, [])
    if item.get_closest_marker("starts_processes") is None:
        _watching.append(started)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Watch a test until its last fixture is gone."""
    try:
        return (yield)
    finally:
        _watching.clear()


@pytest.fixture(autouse=True)
def started_processes(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """What this test tried to start. Each try fails, and so does the test, even if something swallowed the error."""
    started = request.node.stash[_STARTED]
    yield started
    if started:
        pytest.fail(f"started {started}: tests of processes are in tests/services", pytrace=False)
