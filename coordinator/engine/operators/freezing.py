"""New money frozen: no reservation and no invoice until it is let in again. What was paid goes on to its end."""

from __future__ import annotations

from secrets import token_hex

from coordinator.engine.new_money import COORDINATOR, Frozen
from coordinator.engine.operators.acting import MAX_REASON, OPERATOR, By, House, Verb, act
from coordinator.ports.store import Transaction


class Freezer:
    """Whether new money is frozen: the last word in the audit log, which outlives the process."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.frozen: Frozen | None = None

    async def load(self) -> None:
        """Read the last word. Called once, before the first ticket could be sold."""
        last = await self._house.store.last_act([Verb.FREEZE, Verb.UNFREEZE])
        froze = last is not None and last.act == Verb.FREEZE
        by = COORDINATOR if last is not None and last.who == COORDINATOR else OPERATOR
        self.frozen = Frozen(last.reason, last.at, by) if last is not None and froze else None

    async def freeze(self, by: By) -> bytes:
        """No new money from now on; players read the reason. {"frozen": true}."""
        return await self._say(by, Verb.FREEZE, frozen=True)

    async def alarm(self, reason: str) -> None:
        """No new money by a rule of our own, until an operator lets it in again; what froze it first stays said."""
        if self.frozen is None:
            await self.freeze(By(COORDINATOR, reason[:MAX_REASON], token_hex(16)))

    async def unfreeze(self, by: By) -> bytes:
        """New money may come in again, as far as nothing else speaks against it. {"frozen": false}."""
        return await self._say(by, Verb.UNFREEZE, frozen=False)

    async def _say(self, by: By, verb: Verb, *, frozen: bool) -> bytes:
        async def effect(_: Transaction) -> object:
            return {"frozen": frozen}

        answer = await act(self._house, by, verb, effect)
        # From the log again: a repeated request must not undo what was said since.
        await self.load()
        return answer
