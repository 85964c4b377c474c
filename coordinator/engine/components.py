"""The parts of a coordinator by name: services it depends on, loops of its own, and what health is told of."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

HOUSE: Final = "house"
"""Pins of the house stand under this name: first keys, and how long Lightning keeps a hold."""


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
    MONEY = "money"
    AUDITOR = "auditor"
    SWEEP = "sweep"


class ChildState(StrEnum):
    """What a loop does now."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    DEGRADED = "degraded"
    """It died too often, or does not end although it was told to."""
    STOPPED = "stopped"


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


class ChainState(StrEnum):
    """How well the chain is followed."""

    CONNECTING = "connecting"
    """The node did not answer when it was last asked."""
    CATCHING_UP = "catching_up"
    SYNCED = "synced"
    STALE = "stale"
    """Blocks are there and none is stored, or none came for 90 minutes."""
    FAILED = "failed"
    """What the node says cannot be used."""
