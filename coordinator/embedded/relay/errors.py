"""What the relay refuses, with the machine-readable prefix that NIP-01 asks for."""

from __future__ import annotations

from typing import ClassVar

from coordinator_core.errors import CoreError, Fault


class RelayRefusal(CoreError):
    """A message or event that the relay does not take. `prefix` is "invalid", "rate-limited" or "error"."""

    code: ClassVar[str] = "embedded.relay"
    fault: Fault = Fault.CALLER

    def __init__(self, reason: str, prefix: str = "invalid") -> None:
        super().__init__(f"{prefix}: {reason}")
