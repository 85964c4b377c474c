"""Fault switches for tests: what goes wrong, for which session, how often."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

import msgspec

from coordinator.embedded.keymeld.authorization.canonical import EnclaveId, Uuid

Kind = Literal["slow", "silent", "bad_signature", "refuse"]
Operation = Literal["keygen", "signing"]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Times = Annotated[int, msgspec.Meta(ge=1)]


class _Switch(msgspec.Struct, frozen=True, tag_field="kind"):
    operation: Operation = "signing"
    session_id: Uuid | None = None
    """Only this keygen or signing session; None means any."""
    times: Times | None = None
    """How many sessions it hits; None means until cleared."""


class Slow(_Switch, frozen=True, tag="slow"):
    """The enclaves begin `seconds` later than they could."""

    seconds: Seconds = 1.0


class Silent(_Switch, frozen=True, tag="silent"):
    """The session is accepted and never goes on."""


class BadSignature(_Switch, frozen=True, tag="bad_signature"):
    """One bit of the first signature of a batch is flipped."""


class Refuse(_Switch, frozen=True, tag="refuse"):
    """Registrations or new signing sessions are answered 503."""


class Restart(msgspec.Struct, frozen=True, tag_field="kind", tag="restart"):
    """An enclave restarts at once with a new key and epoch, and forgets every session."""

    enclave_id: EnclaveId


Switch = Slow | Silent | BadSignature | Refuse
Order = Switch | Restart


class Faults:
    """The switches that are on. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._switches: list[Switch] = []

    def add(self, switch: Switch) -> None:
        """Turn one on."""
        with self._lock:
            self._switches.append(switch)

    def clear(self) -> None:
        """Turn all off. What a switch already did stays done."""
        with self._lock:
            self._switches.clear()

    def active(self) -> list[Switch]:
        """Switches that are on, with the times that are left."""
        with self._lock:
            return list(self._switches)

    def take(self, kind: type[Switch], operation: Operation, session_id: str) -> Switch | None:
        """The first switch of a kind that hits this session, counted down; None if there is none."""
        with self._lock:
            for index, switch in enumerate(self._switches):
                if not isinstance(switch, kind) or switch.operation != operation:
                    continue
                if switch.session_id in (None, session_id):
                    self._count_down(index, switch)
                    return switch
        return None

    def _count_down(self, index: int, switch: Switch) -> None:
        if switch.times is None:
            return
        if switch.times == 1:
            del self._switches[index]
        else:
            self._switches[index] = type(switch)(**{**msgspec.structs.asdict(switch), "times": switch.times - 1})
