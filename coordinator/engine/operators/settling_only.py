"""`settle-only`: no new competition, ticket or funding until it is ended; everything that is owed goes on."""

from __future__ import annotations

from coordinator.engine.new_money import Frozen, NewMoneyPaused
from coordinator.engine.operators.acting import By, House, Verb, act
from coordinator.engine.submit import Conflict
from coordinator.ports.store import Transaction
from coordinator_core.errors import Fault
from coordinator_core.units import UnixTime

CONFIGURED = "the settings say so"
NOTHING_NEW = "finishes what it owes and takes on nothing new"


class SettleOnly:
    """Whether it is on: by the settings, or by the last word in the audit log, which outlives the process."""

    def __init__(self, house: House, *, configured: bool) -> None:
        """`configured`: the settings turn it on, and only they can end it."""
        self._house = house
        self._configured = configured
        self.since: Frozen | None = Frozen(CONFIGURED, house.clock.wall()) if configured else None

    @property
    def is_on(self) -> bool:
        """True while nothing new is taken on."""
        return self.since is not None

    async def load(self) -> None:
        """Read the last word. Called once, before anything could be taken on."""
        if self._configured:
            return
        last = await self._house.store.last_act([Verb.SETTLE_ONLY, Verb.TAKE_ON])
        on = last is not None and last.act == Verb.SETTLE_ONLY
        self.since = Frozen(last.reason, UnixTime(last.at)) if last is not None and on else None

    async def begin(self, by: By) -> bytes:
        """Nothing new from now on; players read the reason. {"settle_only": true}."""
        return await self._say(by, Verb.SETTLE_ONLY, on=True)

    async def end(self, by: By) -> bytes:
        """New things are taken on again. {"settle_only": false}. Raises Conflict while the settings turn it on."""
        if self._configured:
            fix = "set settle_only = false there and restart"
            raise Conflict("settle_only", CONFIGURED, fix, fault=Fault.COORDINATOR)
        return await self._say(by, Verb.TAKE_ON, on=False)

    async def _say(self, by: By, verb: Verb, *, on: bool) -> bytes:
        async def effect(_: Transaction) -> object:
            return {"settle_only": on}

        answer = await act(self._house, by, verb, effect)
        # From the log again: a repeated request must not undo what was said since.
        await self.load()
        return answer

    def require_off(self) -> None:
        """Raises NewMoneyPaused while nothing new is taken on."""
        if self.since is not None:
            reason = f"takes on no new competition: it {NOTHING_NEW}: {self.since.reason}"
            raise NewMoneyPaused("coordinator", reason, "coordinator admin take-on", fault=Fault.COORDINATOR)
