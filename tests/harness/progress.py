"""Whether things move: what waiting is measured by, instead of time, on a machine that may be slow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

KILLS_AHEAD: Final = 3
KILLS_WITHOUT_PROGRESS: Final = 12
"""After so many without a step of anyone, kills pause until the next step: repeated death is no excuse for standing."""
WAITS_WITHOUT_PROGRESS: Final = 1_200
"""Looks in vain, by all who wait together, after which the run counts as stuck. Each follows an answer or a pause."""


class Stuck(Exception):
    """Nothing moves any more: the liveness rule is broken."""


@dataclass(slots=True)
class Progress:
    """Steps of competitions and players, and how often someone has looked in vain since the last one."""

    kills: int
    """How many kills are wanted in all."""
    expected_steps: int = 1
    """About so many steps take everyone to the end: kills are spread over them, so that every state gets its share."""
    killed: int = 0
    steps: int = 0
    finishing: bool = False
    """The last competitions are to end in peace."""
    seen: dict[str, str] = field(default_factory=dict[str, str])
    _waits: int = 0
    _killed_at_step: int = 0

    def step(self) -> None:
        """Something moved."""
        self.steps += 1
        self._waits = 0
        self._killed_at_step = self.killed

    def see(self, subject: str, what: str) -> None:
        """A step, if it is new."""
        if self.seen.get(subject) != what:
            self.seen[subject] = what
            self.step()

    def waited(self, what: str) -> None:
        """Someone looked in vain. Raises Stuck."""
        self._waits += 1
        if self._waits > WAITS_WITHOUT_PROGRESS:
            raise Stuck(f"nothing moved while waiting for {what}")

    def calm(self) -> bool:
        """No kills now."""
        tired = self.killed - self._killed_at_step >= KILLS_WITHOUT_PROGRESS
        share = KILLS_AHEAD + self.kills * self.steps / self.expected_steps
        return self.finishing or tired or self.killed >= min(self.kills, share)
