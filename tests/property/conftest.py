"""What all property tests share: they start no process, and no example is judged by the time it takes."""

from hypothesis import settings

from tests.support.plain_logs import plain_logs
from tests.support.processes import pytest_runtest_setup, pytest_runtest_teardown, started_processes

# A busy machine is no counterexample.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

__all__ = ["plain_logs", "pytest_runtest_setup", "pytest_runtest_teardown", "started_processes"]
