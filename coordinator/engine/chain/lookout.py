"""How far the chain is known: what the node and Lightning said of it, and since when; judged when somebody asks.

Nothing here is a state that somebody has to reset: answers are kept with their moments, and every word about them is
derived at the moment of the question.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Final

from msgspec import Struct

from coordinator.domain.gates import GRACE, Consequence, Sight, held
from coordinator.engine.components import ChainState
from coordinator_core.units import Blocks, Height, UnixTime

REFUSALS: Final = 5
"""Answers in a row that contradict themselves: an operator is told."""
STALLED_SECONDS: Final = 120.0
"""Blocks are there, and none was stored for so long."""
SILENT_SECONDS: Final = 5_400.0
"""No block of the network for so long: less than one gap in 8,000 is longer."""
STALLED: Final = "blocks are there and none is stored"
NO_BLOCK: Final = "no block came for more than 90 minutes"


class ChainReport(Struct, frozen=True, kw_only=True):
    """How well the chain is followed, as of the question."""

    state: ChainState
    behind: int | None
    """Blocks of the node that are not stored; None while it does not answer."""
    since_seconds: float | None
    """How long that is so: since the last answer, the last stored block or the network's last block."""
    reason: str = ""
    held: str | None = None
    """Why no funding and no payment leaves now; None when neither chain nor Lightning stands in the way."""


@dataclass(slots=True)
class Lookout:
    """`clock` gives seconds that never go back, `wall` the time of day. `development`: blocks come when they are asked
    for, and their absence means nothing.
    """

    clock: Callable[[], float]
    wall: Callable[[], UnixTime]
    development: bool = False
    _rises: deque[tuple[float, Height]] = field(default_factory=deque[tuple[float, Height]])
    """When the node first showed a height. What it had when it was first asked, or asked again after a silence, has no
    moment: it may be there for long.
    """
    _cursor: Height | None = None
    _moved: float = -inf
    _found: int = 0
    _answered: float = -inf
    _silent: bool = True
    _unsuitable: str = ""
    _refusals: int = 0
    _refusal: str = ""
    _synced: bool | None = None
    _unsynced: float = inf

    def heard(self, height: Height, found: UnixTime) -> None:
        """The node knows the chain up to `height`; its newest block names the time `found`."""
        now = self.clock()
        began = now if now - self._answered < GRACE else -inf
        self._answered, self._silent, self._unsuitable, self._found = now, False, "", found
        while self._rises and self._rises[-1][1] > height:
            began = self._rises.pop()[0]
        if not self._rises or height > self._rises[-1][1]:
            self._rises.append((began, height))
        while len(self._rises) > 1 and self._rises[1][0] <= now - GRACE:
            self._rises.popleft()

    def silent(self) -> None:
        """The node gave no answer."""
        self._silent = True

    def unsuitable(self, reason: str) -> None:
        """The node cannot be used as it is."""
        self._silent, self._unsuitable = True, reason

    def refused(self, reason: str) -> None:
        """The node's answer contradicts itself."""
        self._refusal = reason
        self._refusals += 1

    def stored(self, cursor: Height, *, moved: bool = False) -> None:
        """The last block that is stored here. `moved`: by what the node said just now, so that holds."""
        self._cursor = cursor
        if moved:
            self._moved, self._refusals = self.clock(), 0

    def lightning(self, synced: bool | None) -> None:
        """Whether Lightning says that it is in step with the chain; None when it says nothing."""
        self._unsynced = min(self._unsynced, self.clock()) if synced is False else inf
        self._synced = synced

    @property
    def behind(self) -> Blocks | None:
        """Blocks of the node that are not stored; None while it does not answer."""
        if self._silent or self._cursor is None or not self._rises:
            return None
        return Blocks(max(0, self._rises[-1][1] - self._cursor))

    @property
    def lightning_in_step(self) -> bool | None:
        """What Lightning says, except for two minutes after a block: then it is taken to be on its way."""
        if self._synced is not False:
            return self._synced
        now, newest = self.clock(), self._rises[-1][0] if self._rises else -inf
        return now - newest < GRACE and now - self._unsynced < GRACE

    def sight(self) -> Sight:
        """What gates go by."""
        lag = self.behind
        return Sight(lag=lag, late=None if lag is None else self._late(), lightning=self.lightning_in_step)

    def _late(self) -> Blocks:
        since, cursor = self.clock() - GRACE, self._cursor or Height(0)
        heights = [height for began, height in self._rises if began <= since]
        return Blocks(max(0, max(heights, default=cursor) - cursor))

    def report(self) -> ChainReport:
        """How well the chain is followed."""
        if self._unsuitable or self._refusals >= REFUSALS:
            reason = self._unsuitable or self._refusal
            return self._said(ChainState.FAILED, self._age(self._moved), reason)
        if self.behind is None:
            return self._said(ChainState.CONNECTING, self._age(self._answered))
        return self._lagging() if self.behind else self._in_step()

    def _lagging(self) -> ChainReport:
        cursor = self._cursor or Height(0)
        waiting = next(began for began, height in self._rises if height > cursor)
        since = self._age(max(self._moved, waiting))
        stalled = since is not None and since > STALLED_SECONDS
        return self._said(ChainState.STALE if stalled else ChainState.CATCHING_UP, since, STALLED if stalled else "")

    def _in_step(self) -> ChainReport:
        age = float(max(0, self.wall() - self._found))
        if age > SILENT_SECONDS and not self.development:
            return self._said(ChainState.STALE, age, NO_BLOCK)
        return self._said(ChainState.SYNCED, self._age(self._moved))

    def _said(self, state: ChainState, since: float | None, reason: str = "") -> ChainReport:
        waits = held(Consequence.IRREVOCABLE, self.sight())
        return ChainReport(state=state, behind=self.behind, since_seconds=since, reason=reason, held=waits)

    def _age(self, moment: float) -> float | None:
        return None if moment == -inf else max(0.0, self.clock() - moment)
