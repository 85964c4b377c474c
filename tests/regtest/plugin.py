"""Fixtures of the tests on real daemons, and their logs when a test fails. tests/conftest.py loads it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.daemons.errors import DaemonsError
from tools.daemons.locate import Daemons
from tools.daemons.locate import daemons as find_daemons
from tools.regtest import Rig

SWITCH = "COORDINATOR_REGTEST"
HOW = "were not run: `./dev regtest` runs them on bitcoind and LND"
_REPORT = "coordinator_regtest_left_out"
_FAILED = pytest.StashKey[bool]()
_LEFT_OUT = pytest.StashKey[int]()
_RIGS = pytest.StashKey[list[Rig]]()


@pytest.fixture(scope="session")
def real_daemons() -> Daemons:
    """The real programs. Skips unless `./dev regtest` asked for them."""
    if not is_wanted():
        pytest.skip(f"tests on real daemons {HOW}")
    try:
        return find_daemons()
    except DaemonsError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def real_rig(real_daemons: Daemons, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """bitcoind with coordinator, router, alice and bob: one for the whole run. Tests leave it as they found it,
    except for height, time and balances."""
    yield from _started(Rig(real_daemons, _folder("rig")), request)


@pytest.fixture(scope="session")
def real_chain(real_daemons: Daemons, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """bitcoind alone, for tests that rewrite its chain or move its mempool's floor."""
    yield from _started(Rig(real_daemons, _folder("chain"), channels=()), request)


def is_wanted() -> bool:
    """Whether this run is `./dev regtest`."""
    return os.environ.get(SWITCH) == "1"


def _folder(name: str) -> Path:
    return Path(tempfile.mkdtemp(prefix=f"coordinator-{name}-"))


def _started(rig: Rig, request: pytest.FixtureRequest) -> Iterator[Rig]:
    """Start, stop, and keep the folder if anything failed meanwhile."""
    try:
        with rig:
            request.session.stash.setdefault(_RIGS, []).append(rig)
            yield rig
    except BaseException:
        request.session.stash[_FAILED] = True
        raise
    finally:
        if request.session.stash.get(_FAILED, False):
            print(f"logs of the daemons are kept in {rig.folder}")
        else:
            shutil.rmtree(rig.folder, ignore_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """The end of each daemon's log beside the failure it may explain."""
    report = yield
    rigs = item.session.stash.get(_RIGS, [])
    if report.failed and rigs and item.get_closest_marker("regtest") is not None:  # type: ignore[attr-defined]
        item.session.stash[_FAILED] = True
        for rig in rigs:
            for daemon in (rig.chain, *rig.nodes.values()):
                report.sections.append((f"log of {daemon.name}", daemon.tail()))  # type: ignore[attr-defined]
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whoever asks for a daemon is of the regtest suite, which only `./dev regtest` runs."""
    for item in items:
        if {"real_daemons", "real_rig", "real_chain"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.regtest)
    if is_wanted():
        return
    left = [item for item in items if item.get_closest_marker("regtest") is not None]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item.get_closest_marker("regtest") is None]
        config.stash[_LEFT_OUT] = len(left)
        if hasattr(config, "workeroutput"):
            config.workeroutput[_REPORT] = len(left)  # type: ignore[attr-defined]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A worker of pytest-xdist tells how many it left out; all of them leave out the same."""
    left = getattr(node, "workeroutput", {}).get(_REPORT, 0)
    node.config.stash[_LEFT_OUT] = max(left, node.config.stash.get(_LEFT_OUT, 0))


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """One line for all of them."""
    if left := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(f"{left} tests on real daemons {HOW}")
