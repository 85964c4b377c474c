"""Unit tests start no process: a try is an error, and is remembered when the error was swallowed."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.processes import ProcessStarted


def popen() -> None:
    subprocess.run([sys.executable, "-c", ""], check=True)


def asynchronous() -> None:
    async def run() -> None:
        await asyncio.create_subprocess_exec(sys.executable, "-c", "")

    asyncio.run(run())


def fork() -> None:
    if os.fork() == 0:
        os._exit(0)


@pytest.mark.parametrize("start", [popen, asynchronous, fork, lambda: os.system("true")])  # noqa: S605
def test_starting_a_process_fails(started_processes: list[str], start: Callable[[], None]) -> None:
    with pytest.raises(ProcessStarted):
        start()
    assert len(started_processes) == 1
    # Otherwise this test would fail as every other one does.
    started_processes.clear()


@pytest.mark.starts_processes("shows what the mark is for")
def test_the_mark_allows_it() -> None:
    assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0


@pytest.fixture(scope="module")
def early() -> str:
    """What a fixture of the module, made before any fixture of the test, gets for starting a process."""
    try:
        popen()
    except ProcessStarted:
        return "refused"
    return "started"


def test_a_fixture_of_a_wider_scope_is_watched_too(early: str, started_processes: list[str]) -> None:
    assert early == "refused"
    assert len(started_processes) == 1
    started_processes.clear()
