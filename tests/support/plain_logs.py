"""Log lines of the product as plain text."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> Iterator[None]:
    """Without it structlog draws each traceback with every local variable, which takes longer than most tests."""
    before = structlog.get_config()
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*before["processors"][:-1], plain])
    yield
    structlog.configure(**before)
