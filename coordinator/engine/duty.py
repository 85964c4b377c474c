"""What executes a duty, and what may become of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import Duty
from coordinator.domain.facts import Fact
from coordinator.domain.lane import Lane


@dataclass(frozen=True, slots=True)
class Done:
    """Verified outside; the facts it produced."""

    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """Not final: look again after so many seconds. Facts observed meanwhile are written."""

    seconds: float
    facts: Sequence[Fact] = ()
    reason: str | None = None
    """Set when this is a failure that counts for back-off."""
    defect: str = ""
    """Class of the exception, when it is a defect of ours: the worker's word alone."""
    held: bool = False
    """Kept back, nothing was tried: said once in the log of attempts, not as often as it is asked."""


@dataclass(frozen=True, slots=True)
class Dead:
    """Given up until an operator opens it again: the worker's word alone, no executor says it."""

    reason: str
    facts: Sequence[Fact] = ()


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Nothing was done, the competition has no use for it any more: the worker's word alone."""

    seconds: float = 0.5
    facts: Sequence[Fact] = ()
    reason: str | None = None


Outcome = Done | Again

D_co = TypeVar("D_co", bound=Duty, covariant=True)


@dataclass(frozen=True, slots=True)
class Task(Generic[D_co]):
    """A duty with the competition as it was loaded just now."""

    id: str
    duty: D_co
    state: Competition
    lane: Lane
    attempts: int
    stopped: bool = False
    """The competition waits for an operator: nothing expansive is done for it."""
    reread: Callable[[], Awaitable[tuple[Competition, Lane]]] | None = None
    """Loads the competition once more; None: nothing can have changed."""
    held: str | None = None
    """Why nothing irrevocable may be done now, only asked (see gates); None: it may."""

    async def now(self) -> tuple[Competition, Lane]:
        """State and facts as of now. Who waited for an answer asks before a step that cannot be taken back: blocks may
        have left the chain meanwhile.
        """
        return (self.state, self.lane) if self.reread is None else await self.reread()


class Executor(Protocol):
    """Executes one kind of duty: reconcile first, then act, then verify. Raises ports.faults.PortError."""

    async def __call__(self, task: Task[Any]) -> Outcome:
        """One attempt."""
        ...
