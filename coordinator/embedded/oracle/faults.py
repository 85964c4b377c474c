"""Failures on demand, so that a client's recovery can be tested against the real protocol."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from coordinator.embedded.oracle.errors import NOT_ACCEPTING_WRITES, OUTCOME_UNKNOWN, OracleError


class WriteFault(StrEnum):
    """What happens to the next writes."""

    NONE = "none"
    REFUSED = "refused"
    """503, nothing stored."""
    LOST = "lost"
    """500 with the outcome unknown, nothing stored."""
    STORED = "stored"
    """500 with the outcome unknown, though it was stored."""
    SILENT = "silent"
    """Stored, and no answer within an hour."""


class Faults:
    """How many of the next writes fail, and how."""

    def __init__(self) -> None:
        self._fault = WriteFault.NONE
        self._left = 0

    def set(self, fault: WriteFault, count: int) -> None:
        """Let the next `count` writes fail this way."""
        self._fault = fault
        self._left = count

    def before_write(self) -> WriteFault:
        """Take one failure, if any is left. Raises OracleError when nothing is to be stored."""
        fault = self._fault if self._left > 0 else WriteFault.NONE
        self._left = max(0, self._left - 1)
        if fault is WriteFault.REFUSED:
            raise OracleError(503, NOT_ACCEPTING_WRITES)
        if fault is WriteFault.LOST:
            raise OracleError(500, OUTCOME_UNKNOWN)
        return fault

    async def after_write(self, fault: WriteFault) -> None:
        """Let a stored write look failed. Raises OracleError."""
        if fault is WriteFault.SILENT:
            await asyncio.sleep(3_600)
        if fault in (WriteFault.STORED, WriteFault.SILENT):
            raise OracleError(500, OUTCOME_UNKNOWN)
