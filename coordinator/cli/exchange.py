"""One HTTP request of a command: finite in time and size, every failure an error that says who failed."""

from __future__ import annotations

import time
from typing import Final

import httpx

from coordinator_core.errors import CoreError, Fault

TIMEOUT_SECONDS: Final = 20.0
"""Longest silence."""
TOTAL_SECONDS: Final = 120.0
"""For a whole answer, however it trickles in."""


class ServiceFailed(CoreError):
    """A service could not be asked, or did not answer as it should."""

    code = "cli.service_failed"

    def __init__(self, service: str, reason: str, fault: Fault) -> None:
        super().__init__(f"{service}: {reason}")
        self.fault = fault


def exchange(
    client: httpx.Client, method: str, url: str, *, body: str | None = None, limit: int, service: str, fault: Fault
) -> tuple[int, bytes]:
    """Status and body of an answer of at most `limit` bytes. Raises ServiceFailed."""
    deadline, content = time.monotonic() + TOTAL_SECONDS, bytearray()
    try:
        with client.stream(method, url, content=body) as answer:
            for part in answer.iter_bytes():
                content += part
                if len(content) > limit or time.monotonic() > deadline:
                    raise ServiceFailed(service, "answers too much, or too slowly", fault)
            return answer.status_code, bytes(content)
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OverflowError) as problem:
        # The last two are what the resolver raises for hosts and ports that cannot be.
        raise ServiceFailed(service, f"{type(problem).__name__}: {problem}", fault) from None
