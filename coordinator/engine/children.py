"""How each loop of the engine is kept: what silence means for it, and whether money stands still without it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from coordinator.engine.auditor import EVERY_SECONDS as AUDIT_SECONDS
from coordinator.engine.components import Child
from coordinator.engine.retention import EVERY_SECONDS
from coordinator.engine.supervisor import Plan
from coordinator.engine.sweep import EVERY_SECONDS as SWEEP_SECONDS

SILENCE_SECONDS: Final = 30.0
"""Six times what makes such a loop unwell: a large transaction before it, or a slow disk, is no reason to cancel it."""
CHAIN_SILENCE_SECONDS: Final = 120.0
SERVICES_SILENCE_SECONDS: Final = 120.0
"""Each question ends by itself, but alerts go to one sink after the other."""

MONEY_SILENCE_SECONDS: Final = 400.0
"""One question of a comparison may be a long list of the Lightning node."""


def plans(poll_seconds: float) -> Mapping[Child, Plan]:
    """A plan for every loop. `poll_seconds`: pause of the chain loop."""
    return {
        Child.CHAIN: Plan(4 * poll_seconds + CHAIN_SILENCE_SECONDS),
        Child.APPLY: Plan(SILENCE_SECONDS, critical=True),
        Child.DUTIES: Plan(SILENCE_SECONDS, critical=True),
        Child.TIMERS: Plan(SILENCE_SECONDS, critical=True),
        Child.DEPENDENCIES: Plan(SERVICES_SILENCE_SECONDS),
        Child.RETENTION: Plan(2 * EVERY_SECONDS),
        Child.HEALTH: Plan(SILENCE_SECONDS),
        Child.ALARMS: Plan(SERVICES_SILENCE_SECONDS),
        Child.MONEY: Plan(MONEY_SILENCE_SECONDS),
        Child.AUDITOR: Plan(2 * AUDIT_SECONDS + SILENCE_SECONDS),
        Child.SWEEP: Plan(2 * SWEEP_SECONDS),
    }
