"""What every folder of tests shares: the fixtures of the real daemons, what is said when they are not run, and how
examples are drawn.
"""

import gc

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


def pytest_collection_finish() -> None:
    """Thousands of collected tests live until the end: no later search for garbage has to look at them."""
    gc.collect()
    gc.freeze()
