"""Many cheap competitions side by side, from their drafts to their ends: they share a chain, and so their dates."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from coordinator.player.http import NoAnswer, ServerRefused
from coordinator.player.keys import PlayerKeys
from coordinator.player.play import Player
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.terms import Terms, decode_terms
from coordinator_core.secret import Secret
from tests.harness.world import ChaosWorld

PLAYERS: Final = 3
HOUR, DAY = 3_600, 86_400
LOOK_SECONDS: Final = 0.25
PRESSED: Final = 50
LAST_OF_WAVE: Final = 5
CLOSING: Final = {"sealing": 300, "entries": 300, "approvals": 300, "signatures": 300, "kickoff_grace": 3_600}
"""Seconds: windows end when everyone is done, however slow the machine; how they end otherwise is not tested here."""
ENDED: Final = frozenset({"completed", "cancelled", "failed"})


class Fate(StrEnum):
    """What is to become of a competition."""

    PAID = "completed"
    UNDERFILLED = "under-filled"
    """One player too few: given back at the closing."""
    CANCELLED = "cancelled"
    """The operator cancels while entries are open."""


FATES: Final = {Fate.PAID: 8, Fate.UNDERFILLED: 1, Fate.CANCELLED: 1}


@dataclass(slots=True)
class Contest:
    """One competition and its players."""

    fate: Fate
    number: int
    id: str = ""
    terms: Terms | None = None
    players: list[Player] = field(default_factory=list[Player])
    results: dict[str, str] = field(default_factory=dict[str, str])
    """State of the prize by entry id, as its player heard it last."""
    state: str = ""

    @property
    def keeps_key(self) -> bool:
        """True for the last of a full wave: its winner keeps the entry key, so the output is split and bought back."""
        return self.number % 1_000 == LAST_OF_WAVE

    @property
    def known_terms(self) -> Terms:
        """The terms. Raises ValueError before they were read."""
        if self.terms is None:
            raise ValueError("the terms are not known yet")
        return self.terms


class Wave:
    """One generation of competitions."""

    def __init__(self, world: ChaosWorld, number: int, size: int, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._number = number
        fates = rng.choices(list(FATES), list(FATES.values()), k=size)
        self.contests = [Contest(fate, number * 1_000 + n) for n, fate in enumerate(fates)]
        self.opened: dict[str, int] = {}
        """What Lightning channels of players began with, in millisatoshi by alias."""
        self.pressed = 0
        """Payout requests that were sent at once, beside the players' own."""

    @property
    def _played(self) -> list[Contest]:
        return [contest for contest in self.contests if contest.fate is Fate.PAID]

    async def run(self) -> None:
        """From drafts to ends. Raises Stuck."""
        now = await self._world.chain.refresh()
        await asyncio.gather(*(self._create(contest, now) for contest in self.contests))
        await self._until(self.contests, "collecting_entries")
        for contest in self.contests:
            await self._invite(contest)
        await self._watched(*(self._join(c, p) for c in self.contests for p in c.players))
        await asyncio.gather(*(self._cancel(c) for c in self.contests if c.fate is Fate.CANCELLED))
        await self._world.chain.pass_until(self.contests[0].known_terms.schedule.entries_close)
        await self._watched(*(self._close(p) for c in self._played for p in c.players))
        await self._until(self._played, "funding_broadcasted", "funding_confirmed", "awaiting_attestation")
        # Blocks come fast here, and the funding has a last one to leave at.
        await self._transactions_sent("funding")
        await self._until(self._played, "awaiting_attestation", each=self._world.chain.mine)
        await self._settle()

    async def _settle(self) -> None:
        if self._played:
            await self._world.chain.pass_median(self._played[0].known_terms.observation.signing_date)
            # The first block after it is mined only when every outcome is in the node.
            await self._until(self._played, "outcome_broadcasted", "delta_broadcasted", "completed")
            await self._transactions_sent("outcome")
            await self._world.chain.mine()
            await self._watched(*(self._prize(c, p) for c in self._played for p in c.players))
            if any(contest.keeps_key for contest in self._played):
                await self._world.chain.mine(self._played[0].known_terms.contract.delta)
            await self._until(self._played, "completed", each=self._world.chain.mine)
        await self._until(self.contests, *ENDED)

    async def _transactions_sent(self, role: str) -> None:
        async def sent() -> bool:
            shown = [await self._world.show(contest.id) for contest in self._played]
            return all(any(tx["role"] == role for tx in one["transactions"]) for one in shown)

        while not await sent():
            self._world.progress.waited(f"{role} transactions")
            await asyncio.sleep(LOOK_SECONDS)

    def _draft(self, contest: Contest, now: int) -> dict[str, Any]:
        closes = now + HOUR
        ends = closes + 30 * HOUR
        return {
            "title": f"Weather {contest.number}",
            "network": "regtest",
            "targets": ["KORD", "KSAW"],
            "metrics": ["temp_high", "temp_low"],
            "values_per_entry": 2,
            "entries_close": _iso(closes),
            "observation_start": _iso(ends - DAY + HOUR),
            "observation_end": _iso(ends + HOUR),
            "signing_date": _iso(ends + 2 * HOUR),
            "entry_fee": 50_000,
            "minimum_entries": PLAYERS,
            "maximum_entries": PLAYERS,
            "oracle_url": self._world.proxy("oracle"),
            "keymeld_gateway": self._world.proxy("keymeld"),
            "scoring": "lines" if contest.number % 3 == 0 else "fixed",
            "weights": [1],
            "closing": CLOSING,
        }

    async def _create(self, contest: Contest, now: int) -> None:
        body = {"draft": self._draft(contest, now)}
        key = f"create-{contest.number}"
        contest.id = (await self._world.command("/operator/competitions", body, key))["id"]

    async def _cancel(self, contest: Contest) -> None:
        path = f"/operator/competitions/{contest.id}/cancel"
        await self._world.command(path, {"reason": "the weather is bad"}, f"cancel-{contest.number}")

    async def _invite(self, contest: Contest) -> None:
        raw = await self._world.insist(lambda: self._world.services.public(f"/competitions/{contest.id}/terms"))
        contest.terms = decode_terms(raw)
        coming = PLAYERS if contest.fate is Fate.PAID else PLAYERS - 1
        for n in range(coming):
            seed = contest.number * 10 + n + 1
            alias = f"player-{seed}"
            wallet, opened = await self._world.services.new_wallet(alias)
            for name, amount in opened.items():
                self.opened[name] = self.opened.get(name, 0) + amount
            keys = PlayerKeys(Secret(seed.to_bytes(32, "big")))
            url = self._world.stack.url("coordinator")
            player = Player(url, keys, wallet, contest.id, say=self._hears(alias))
            contest.players.append(player)

    def _hears(self, alias: str) -> Callable[[str], None]:
        def say(text: str) -> None:
            if not text.startswith("tries again"):
                self._world.progress.see(f"{alias}: {text}", text)

        return say

    async def _join(self, contest: Contest, player: Player) -> None:
        picks = self._picks(contest, contest.players.index(player))
        await self._persistently(lambda: player.join(picks))

    def _picks(self, contest: Contest, number: int) -> tuple[Pick, ...]:
        rng = random.Random(contest.number * 10 + number)
        observation = contest.known_terms.observation
        pairs = [(target, metric.id) for target in observation.targets for metric in observation.metrics]
        chosen = rng.sample(pairs, observation.values_per_entry)
        return tuple(Pick(target=t, metric=m, choice=rng.choice(list(Choice))) for t, m in chosen)

    async def _close(self, player: Player) -> None:
        await self._persistently(player.keep_appointment)

    async def _prize(self, contest: Contest, player: Player) -> None:
        async def take() -> None:
            contest.results[player.entry_id] = await player.take_prize(keep_key=contest.keeps_key)

        if player.kit is None:
            return
        pressing = asyncio.create_task(self._press(player))
        try:
            await self._persistently(take)
        finally:
            pressing.cancel()
            await asyncio.gather(pressing, return_exceptions=True)

    async def _press(self, player: Player) -> None:
        """A winner who presses the button again and again: one payment has to come of it, however many are answered."""
        while not player.payout_request:  # noqa: ASYNC110  (nothing tells an event of it)
            await asyncio.sleep(LOOK_SECONDS)
        body = {"payment_request": player.payout_request, "payout_preimage": None}
        asked = [player.api.send(f"{player.own}/payout", body, object, signed=True) for _ in range(PRESSED)]
        self.pressed += PRESSED
        # Answers are refusals once it is under way, and none at all from a dead coordinator: Lightning's books tell.
        await asyncio.gather(*asked, return_exceptions=True)

    async def _persistently(self, act: Callable[[], Awaitable[Any]]) -> None:
        """As someone at a page does: what was not answered, or refused for now, is tried again."""
        while True:
            try:
                await act()
            except (NoAnswer, ServerRefused) as error:
                if isinstance(error, ServerRefused) and error.status < 500 and error.status != 429:
                    raise
                await asyncio.sleep(LOOK_SECONDS)
            else:
                return

    async def _watched(self, *work: Coroutine[Any, Any, None]) -> None:
        """Work of players, while someone looks whether anything moves. Raises what a player raised, or Stuck."""
        tasks = [asyncio.create_task(one) for one in work]
        try:
            while any(not task.done() for task in tasks):
                for task in tasks:
                    if task.done() and task.exception() is not None:
                        task.result()
                await self._look(self.contests)
                self._world.progress.waited("players")
                await asyncio.sleep(LOOK_SECONDS)
            for task in tasks:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _until(
        self, contests: list[Contest], *states: str, each: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Wait until every competition is in one of the states, or has ended."""
        while True:
            await self._look(contests)
            behind = [c for c in contests if c.state not in states and c.state not in ENDED]
            if not behind:
                return
            if each is not None:
                await each()
            self._world.progress.waited(f"{states}: {[(c.id, c.state) for c in behind]}")
            await asyncio.sleep(LOOK_SECONDS)

    async def _look(self, contests: list[Contest]) -> None:
        for contest in contests:
            shown = await self._world.show(contest.id)
            contest.state = str(shown["state"])
            self._world.progress.see(contest.id, f"{contest.state}/{shown['attempt']}")

    async def close(self) -> None:
        """Close the players' connections."""
        for contest in self.contests:
            for player in contest.players:
                await player.close()


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
