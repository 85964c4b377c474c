"""What tests of the embedded servers share: they serve within the test's own process."""

from tests.support.plain_logs import plain_logs
from tests.support.processes import pytest_runtest_setup, pytest_runtest_teardown, started_processes

__all__ = ["plain_logs", "pytest_runtest_setup", "pytest_runtest_teardown", "started_processes"]
