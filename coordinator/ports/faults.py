"""Errors of outside services: each says who is at fault and whether the effect may have happened.

PortError                 fault, code
├── Unreachable           no answer, or an answer that says "later": the effect is unknown
│   └── Garbled           an answer that contradicts itself: nothing of it is believed
├── Rejected              the service understood and refused: nothing happened
└── Unsuitable            wrong network, missing right, version: an operator has to act
"""

from __future__ import annotations

from typing import Final

from coordinator_core.errors import Fault

LONGEST_ASKED: Final = 120.0
"""Seconds that a service may ask us to stay away for: holds run out, and windows of people stand still meanwhile."""


class PortError(Exception):
    """Base of what an adapter raises. Texts hold no secrets and no addresses with credentials."""

    code = "port"

    def __init__(self, service: str, reason: str, *, fault: Fault) -> None:
        super().__init__(f"{service}: {reason}")
        self.service = service
        self.reason = reason
        self.fault = fault


class Unreachable(PortError):
    """No usable answer. The effect may or may not have happened: reconcile before repeating."""

    code = "port.unreachable"

    def __init__(self, service: str, reason: str, *, fault: Fault, retry_after: float | None = None) -> None:
        super().__init__(service, reason, fault=fault)
        self.retry_after = retry_after
        """Seconds the service asked to wait, if it said so."""


class Garbled(Unreachable):
    """An answer that contradicts itself, or what it should prove. Asked again; an operator is told when it goes on."""

    code = "port.garbled"


class Rejected(PortError):
    """The service refused; nothing happened there."""

    code = "port.rejected"

    def __init__(self, service: str, reason: str, *, fault: Fault, remote_code: str = "") -> None:
        super().__init__(service, reason, fault=fault)
        self.remote_code = remote_code


class Unsuitable(PortError):
    """The service works but cannot be used as configured."""

    code = "port.unsuitable"
