"""The engine and its database as services that can be examined: what /readyz says of ourselves."""

from __future__ import annotations

from coordinator.engine.components import Component
from coordinator.engine.health import LOOPS, STALE_SECONDS, Health
from coordinator.ports.condition import Condition

ENGINE = "engine"


class EngineExamination:
    """See ports.condition.Examined. Ready while every loop turns, the database answers, and nobody stops us."""

    service = ENGINE

    def __init__(self, health: Health) -> None:
        self._health = health

    async def condition(self) -> Condition:
        """As last sampled."""
        report = self._health.report()
        age = report.sampled_seconds_ago
        if self._health.stopping:
            return _not_ready("it is stopping")
        if age is None or age > STALE_SECONDS:
            return _not_ready("no engine heartbeat: look for the loop that died in the log, and restart")
        silent = [c.value for c in (*LOOPS, Component.DATABASE) if not report.components[c]]
        return _not_ready(f"not well: {', '.join(silent)}; see docs/runbook.md") if silent else Condition(ENGINE)


def _not_ready(problem: str) -> Condition:
    return Condition(ENGINE, problem=problem)
