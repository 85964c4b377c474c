"""The course of one competition, phase by phase, so that something can happen to the world in each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from tests.e2e.application import Competition
from tests.e2e.mock_oracle import Outcome
from tests.harness.sim.world import SimApp, now

PLAYERS: Final = 3
HOUR, DAY = 3_600, 86_400
REAL_WINDOWS: Final = {"sealing": 600, "entries": 300, "approvals": 600, "signatures": 300, "kickoff_grace": 3_600}
"""Seconds: those of a competition for money, not of a demonstration."""
BLOCK_SECONDS: Final = 600.0


class Phase(StrEnum):
    """What has to be reached next."""

    SELLING = "selling"
    CLOSING = "closing"
    SIGNING = "signing"
    FUNDING = "funding"
    SETTLING = "settling"
    ATTESTING = "attestation"
    PAYING = "paying"


BEGINS_WITH: Final = {
    Phase.CLOSING: "event_created",
    Phase.SIGNING: "awaiting_signing",
    Phase.FUNDING: "funding_ready",
}
"""The state with which a phase is under way; phases that are not here begin with what the world does."""


@dataclass(slots=True)
class Course:
    """One competition of three players and one place. Waiting is for states and facts, never for a time."""

    app: SimApp
    competition: Competition | None = None
    prizes: dict[str, str] = field(default_factory=dict[str, str])
    began: dict[Phase, float] = field(default_factory=dict[Phase, float])
    """When the world did its part of each phase."""
    reached: dict[Phase, float] = field(default_factory=dict[Phase, float])
    """When the aim of each phase was reached, in virtual seconds."""
    _players: asyncio.Task[None] | None = None

    @property
    def played(self) -> Competition:
        """The competition. Raises AssertionError before it was made."""
        assert self.competition is not None, "no competition was made yet"
        return self.competition

    async def create(self, from_: int | None = None, **changes: object) -> Competition:
        """Publish it, with the windows of a competition for money and a day and a half until the weather.

        `from_` is the chain's time that dates are counted from, for several with the same.
        """
        closes = (from_ or await self.app.chain.refresh()) + HOUR
        ends = closes + 36 * HOUR
        dates = {
            "entries_close": _iso(closes),
            "observation_start": _iso(ends - DAY + HOUR),
            "observation_end": _iso(ends + HOUR),
            "signing_date": _iso(ends + 2 * HOUR),
        }
        settings = {"entries": PLAYERS, "closing": REAL_WINDOWS, **dates, **changes}
        self.competition = await self.app.create_competition(**settings)  # type: ignore[arg-type]
        return self.competition

    async def pass_through(self, phase: Phase) -> None:
        """Do a phase's part of the world, and wait until its aim is reached."""
        acts: dict[Phase, Callable[[], Awaitable[None]]] = {
            Phase.SELLING: self._sell,
            Phase.CLOSING: self._close,
            Phase.SIGNING: lambda: self._wait("funding_ready", "funding_broadcasted"),
            Phase.FUNDING: self._fund,
            Phase.SETTLING: self._settle,
            Phase.ATTESTING: self._attest,
            Phase.PAYING: self._pay,
        }
        self.began[phase] = now()
        await acts[phase]()
        self.reached[phase] = now()

    async def pass_all(self, *phases: Phase) -> None:
        """Several phases, or all of them."""
        for phase in phases or Phase:
            await self.pass_through(phase)

    async def finish(self) -> dict[str, int]:
        """To the end of the competition; what changed for whom (millisatoshi), which sums up to nothing."""
        await self._wait("completed", each=self.app.mine_blocks)
        return await self.app.require_balanced_books(self.played)

    async def _sell(self) -> None:
        # One wallet after the other: what each end of its channel starts with is read from the ledger before and after.
        number = self.played.terms.entries.maximum
        players = [await self.app.new_player(self.played) for _ in range(number)]
        self.played.players.extend(players)
        async with asyncio.TaskGroup() as group:
            for number, player in enumerate(players):
                group.create_task(player.join(self.app.picks(self.played, number)))

    async def _close(self) -> None:
        await self.app.close_entries(self.played)
        self._players = asyncio.create_task(self.app.keep_appointments(self.played))
        await self._wait("awaiting_signing", "funding_ready", "funding_broadcasted")

    async def _fund(self) -> None:
        await self.app.wait_for_funding(self.played)
        if self._players is not None:
            await self._players

    async def _settle(self) -> None:
        await self.app.mine_blocks()
        await self._wait("awaiting_attestation")

    async def _attest(self) -> None:
        terms = self.played.terms
        event = terms.oracle.event_ids[await self.app.attempt(self.played)]
        self.app.oracle.queue_attestation(event, Outcome((1,)))
        await self.app.advance_time(terms.observation.signing_date)
        await self._wait("outcome_broadcasted", "delta_broadcasted", "completed")
        await self.app.confirm_first(self.played)

    async def _pay(self) -> None:
        self.prizes = await self.app.take_prizes(self.played)

    async def _wait(self, *states: str, each: Callable[[], Awaitable[None]] | None = None) -> None:
        await self.app.wait_for_state(self.played, *states, each=each)


@asynccontextmanager
async def blocks_come(app: SimApp) -> AsyncGenerator[None]:
    """A block every ten minutes meanwhile, as on any other day."""

    async def mine() -> None:
        while True:
            await asyncio.sleep(BLOCK_SECONDS)
            await app.mine_blocks()

    mining = asyncio.create_task(mine())
    try:
        yield
    finally:
        mining.cancel()
        await asyncio.gather(mining, return_exceptions=True)


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
