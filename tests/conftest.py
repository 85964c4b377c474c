"""What every folder of tests shares: the fixtures of the real daemons, what is said when they are not run, and how
examples are drawn.
"""

import gc
from collections.abc import Generator

import pytest
from hypothesis import settings

from tests.regtest.plugin import (
    pytest_collection_modifyitems,
    pytest_runtest_makereport,
    pytest_terminal_summary,
    pytest_testnodedown,
    real_chain,
    real_daemons,
    real_rig,
)
from tests.support.examples import fresh

# A busy machine is no counterexample, and the same commit is judged by the same examples.
settings.register_profile("house", deadline=None, derandomize=not fresh())
settings.load_profile("house")

__all__ = [
    "pytest_collection_modifyitems",
    "pytest_runtest_makereport",
    "pytest_terminal_summary",
    "pytest_testnodedown",
    "real_chain",
    "real_daemons",
    "real_rig",
]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of collected tests live until the end: no search for garbage has to look at them while they come."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_finish() -> None:
    """Nor any later one."""
    gc.collect()
    gc.freeze()
