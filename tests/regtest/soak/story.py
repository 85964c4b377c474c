"""One competition of the soak, from creation to books, while daemons die under it."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from coordinator.player.http import NoAnswer, ServerRefused
from coordinator.player.play import Player
from coordinator.player.wallet import PaymentFailed
from tests.e2e.application import DAY, HOUR, Competition
from tests.regtest.e2e.daemon_books import require_daemon_books
from tests.regtest.e2e.lightning_books import payments
from tests.regtest.soak.killer import Killer
from tests.regtest.soak.plan import Phase, Round
from tests.regtest.soak.world import SoakApp
from tools.regtest.lnd import Lnd

T = TypeVar("T")

PATIENCE_SECONDS = 300.0
"""For one phase with its kills."""
JOIN_SECONDS = 120.0
"""For one player to get a seat."""
AGAIN_SECONDS = 1.0
PAUSED = 503
CLOSING = {"sealing": 60, "entries": 60, "approvals": 60, "signatures": 60, "kickoff_grace": 600}
REGISTRATION_SECONDS = 24 * HOUR
"""So many blocks before F that a bitcoind that has to learn of fees anew does not use them up."""
ENDED = frozenset({"completed", "cancelled", "failed"})


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one competition."""

    competition: str
    state: str
    reason: str
    seats: int
    seconds: float
    loss: str = ""
    """Why the books are not balanced, or where the competition hung; empty when all is well."""

    @property
    def is_good(self) -> bool:
        """It ended and nobody lost anything."""
        return not self.loss and self.state in ENDED


class Story:
    """Plays one round."""

    def __init__(self, app: SoakApp, killer: Killer, players: int) -> None:
        self._app = app
        self._killer = killer
        self._players = players
        self._seated: list[Player] = []

    async def play(self, planned: Round) -> Result:
        """To the end, whatever it is; a scenario that hangs or books that do not balance are in the result."""
        began = time.monotonic()
        competition = await self._create(planned)
        loss = ""
        try:
            await self._play(competition, planned)
            await require_daemon_books(self._app, competition)
        except Exception as error:
            # Whatever keeps a competition from its end is what the soak is there to tell.
            loss = _told(error)
        shown = await self._app.show(competition.id) or {"state": "unknown", "reason": ""}
        await self._app.close()
        reason, seats = str(shown["reason"] or ""), len(self._seated)
        return Result(competition.id, str(shown["state"]), reason, seats, time.monotonic() - began, loss)

    async def _create(self, planned: Round) -> Competition:
        start = await self._app.chain.refresh()
        closes = start + REGISTRATION_SECONDS
        ends = closes + 2 * DAY
        return await self._app.create_competition(
            entries=self._players,
            minimum=self._players - 1,
            places=planned.places,
            closing=CLOSING,
            entries_close=_iso(closes),
            observation_start=_iso(ends - DAY),
            observation_end=_iso(ends),
            signing_date=_iso(ends + HOUR),
        )

    async def _play(self, competition: Competition, planned: Round) -> None:
        phases: dict[Phase, Callable[[Competition], Coroutine[Any, Any, None]]] = {
            Phase.SELLING: self._sell,
            Phase.CLOSING: self._close,
            Phase.FUNDING: self._fund,
            Phase.RESULT: self._result,
            Phase.PAYING: self._pay,
        }
        for phase, part in phases.items():
            try:
                async with asyncio.timeout(PATIENCE_SECONDS), self._killer.during(planned.of(phase)):
                    await part(competition)
            except TimeoutError as error:
                raise TimeoutError(f"{phase} did not end within {PATIENCE_SECONDS:g} s") from error
            if await self._ended_early(competition):
                return

    async def _ended_early(self, competition: Competition) -> bool:
        shown = await self._app.show(competition.id)
        return shown is not None and shown["state"] in ENDED

    async def _sell(self, competition: Competition) -> None:
        await self._app.invite(competition, self._players)
        numbered = enumerate(competition.players)
        joined = await asyncio.gather(*(self._join(competition, number, player) for number, player in numbered))
        self._seated = [player for player, seated in zip(competition.players, joined, strict=True) if seated]

    async def _join(self, competition: Competition, number: int, player: Player) -> bool:
        """Whether the player has a seat. Without one is who has to wait for a node that lost its own payment."""
        try:
            async with asyncio.timeout(JOIN_SECONDS):
                await _again(lambda: player.join(self._app.picks(competition, number)))
        except TimeoutError:
            if await self._app.services.blocking(is_stranded, self._app.services.node_of(player), player.ticket_hash):
                return False
            raise
        return True

    async def _close(self, competition: Competition) -> None:
        await self._app.close_entries(competition)
        await asyncio.gather(*(player.keep_appointment() for player in self._seated))
        await self._reach(competition, "funding_broadcasted", "funding_confirmed")

    async def _fund(self, competition: Competition) -> None:
        await self._app.wait_for_funding(competition)
        await self._reach(competition, "awaiting_attestation", each=lambda: self._confirm(competition))

    async def _confirm(self, competition: Competition) -> None:
        """A block, when it can bring the funding in: no more than that pass while tickets are held."""
        txid = (await self._app.contract(competition)).outpoint.txid[::-1].hex()
        if txid in await self._app.services.rpc("getrawmempool"):
            await self._app.mine_blocks()

    async def _result(self, competition: Competition) -> None:
        await self._app.advance_time(competition.terms.observation.signing_date)
        await self._reach(competition, "outcome_broadcasted", "delta_broadcasted")
        await self._app.confirm_first(competition)

    async def _pay(self, competition: Competition) -> None:
        await asyncio.gather(*(_take_prize(player) for player in self._seated if player.kit is not None))
        await self._reach(competition, "completed", each=self._app.mine_blocks)

    async def _reach(
        self, competition: Competition, *states: str, each: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """One of the states, or the end that a rule brought."""
        while True:
            shown = await self._app.show(competition.id)
            if shown is not None and shown["state"] in {*states, *ENDED}:
                return
            if each is not None:
                await each()
            await asyncio.sleep(AGAIN_SECONDS / 4)


def is_stranded(node: Lnd, payment_hash: str) -> bool:
    """Whether LND waits for a payment (hash in hex) that no channel of its holds.

    A node that is killed between noting a payment and putting it into a channel waits for its result for ever. Nothing
    left it; whose node it is has to pay another invoice.
    """
    payment = payments(node).get(payment_hash)
    held = [htlc for one in node.get("/v1/channels")["channels"] for htlc in one["pending_htlcs"]]
    offered = {base64.b64decode(htlc["hash_lock"]).hex() for htlc in held}
    return payment is not None and payment["status"] == "IN_FLIGHT" and payment_hash not in offered


async def _take_prize(player: Player) -> str:
    return await _again(player.take_prize)


async def _again(what: Callable[[], Awaitable[T]]) -> T:
    """As a person does: what failed because a node or service was away is tried once more."""
    while True:
        try:
            return await what()
        except (PaymentFailed, NoAnswer):
            await asyncio.sleep(AGAIN_SECONDS)
        except ServerRefused as error:
            if error.status != PAUSED:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


def _told(error: BaseException) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(_told(one) for one in error.exceptions)
    return f"{type(error).__name__}: {error}".strip()


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
