"""What every folder of tests shares: the fixtures of the real daemons, and what is said when they are not run."""

import gc

from tests.regtest.plugin import (
    pytest_collection_modifyitems,
    pytest_runtest_makereport,
    pytest_terminal_summary,
    pytest_testnodedown,
    real_chain,
    real_daemons,
    real_rig,
)

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
