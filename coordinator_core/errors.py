"""Every error this library raises, and who is at fault.

    CoreError                     code, fault
    ├── InvalidInput              field, reason, fix         a value that cannot be accepted
    │   └── Refused               field, reason, fix         well-formed, but a rule of the protocol forbids it
    ├── VerificationFailed        what, reason               a cryptographic check said no
    │   └── InvalidSignature      what, reason, index
    └── Misuse                    what                       the caller broke the contract of an object

A code is stable and unique; texts may change. Messages never hold secrets.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class Fault(StrEnum):
    """Who has to change something before the same call can succeed."""

    PLAYER = "player"
    COORDINATOR = "coordinator"
    SIGNER = "signer"
    ORACLE = "oracle"
    NODE = "node"
    LIGHTNING = "lightning"
    CALLER = "caller"


class CoreError(Exception):
    """Base of all errors of this library."""

    code: ClassVar[str] = "core"
    fault: Fault = Fault.CALLER


class InvalidInput(CoreError):
    """A value was refused. `field` is a dotted path, `fix` says what would be accepted."""

    code = "input.invalid"

    def __init__(self, field: str, reason: str, fix: str = "", *, fault: Fault = Fault.CALLER) -> None:
        super().__init__(f"{field}: {reason}" + (f" ({fix})" if fix else ""))
        self.field = field
        self.reason = reason
        self.fix = fix
        self.fault = fault


class Refused(InvalidInput):
    """A well-formed value that a rule of the protocol forbids."""

    code = "input.refused"


class VerificationFailed(CoreError):
    """A check of something received from another party failed."""

    code = "verification.failed"

    def __init__(self, what: str, reason: str, *, fault: Fault = Fault.CALLER) -> None:
        super().__init__(f"{what}: {reason}")
        self.what = what
        self.reason = reason
        self.fault = fault


class InvalidSignature(VerificationFailed):
    """A signature does not verify. `index` is its place in the list that was checked, if there was one."""

    code = "verification.signature"

    def __init__(
        self,
        what: str,
        reason: str = "signature does not verify",
        *,
        index: int | None = None,
        fault: Fault = Fault.CALLER,
    ) -> None:
        super().__init__(what, reason, fault=fault)
        self.index = index


class Misuse(CoreError):
    """An object was used against its contract: a nonce twice, a wiped secret, a consumed state."""

    code = "misuse"

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what
