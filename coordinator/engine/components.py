"""The parts of a coordinator by name: services it depends on, loops of its own, and what health is told of."""

from __future__ import annotations

from enum import StrEnum


class Dependency(StrEnum):
    """What a competition needs to be played to its end."""

    LIGHTNING = "lightning"
    CHAIN = "chain"
    ORACLE = "oracle"
    KEYMELD = "keymeld"


class Child(StrEnum):
    """Loops under supervision."""

    CHAIN = "chain"
    APPLY = "apply"
    DUTIES = "duties"
    TIMERS = "timers"
    DEPENDENCIES = "dependencies"
    RETENTION = "retention"
    HEALTH = "health"
    ALARMS = "alarms"


class Component(StrEnum):
    """What can be well or not: a loop with the work it should get done, the database, a service."""

    CHAIN_LOOP = "chain_loop"
    APPLY_LOOP = "apply_loop"
    DUTY_LOOP = "duty_loop"
    TIMER_LOOP = "timer_loop"
    DEPENDENCY_LOOP = "dependency_loop"
    DATABASE = "database"
    INBOX = "inbox"
    DUTIES = "duties"
    CHAIN_LAG = "chain_lag"
    LIGHTNING = "lightning"
    CHAIN = "chain"
    ORACLE = "oracle"
    KEYMELD = "keymeld"
