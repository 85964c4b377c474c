"""The story of the demo: one competition, walked through every state over HTTP like anyone would."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from coordinator.cli.demo.plan import HOUR, DemoPlan
from coordinator.cli.demo.report import Report
from coordinator.cli.demo.world import World, WorldError
from coordinator.player.keys import PlayerKeys
from coordinator.player.play import Player
from coordinator_core.competition.terms import Terms, decode_terms

OPERATOR_COINS = 50_000_000
PATIENCE_SECONDS, PER_PLAYER_SECONDS = 60.0, 10.0
"""All players of a demo share one process, and each verifies every signature."""
POLL_SECONDS = 0.1
ENDED = frozenset({"completed", "cancelled", "failed"})


@dataclass(slots=True)
class Story:
    """One run."""

    plan: DemoPlan
    world: World
    report: Report
    competition: str = ""
    terms: Terms | None = None
    players: list[Player] = field(default_factory=list[Player])
    results: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    claimed_onchain: int = 0
    """Satoshi that winners took with their own transactions."""
    _seen: str = ""

    @property
    def _patience(self) -> float:
        return PATIENCE_SECONDS + PER_PLAYER_SECONDS * len(self.players)

    async def fund_operator(self) -> None:
        """Give the coordinator's wallet coins to fund contracts with."""
        address = (await self.world.operator("POST", "/wallet/address"))["address"]
        await self.world.faucet(address, OPERATOR_COINS)
        self.report.say(f"the coordinator's wallet holds {OPERATOR_COINS:,} sat at {address}")

    async def create(self) -> None:
        """Create the competition and wait until its terms are published."""
        stack = self.world.stack
        draft = self.plan.draft(await self.world.now(), stack.url("oracle"), stack.url("keymeld"))
        self.competition = (await self.world.operator("POST", "/competitions", {"draft": draft}))["id"]
        await self.until("collecting_entries")
        raw = await self._terms()
        self.terms = decode_terms(raw)
        self.report.say(f"competition {self.competition}, terms {self.terms.hash.hex()}")
        self.report.say(f"{stack.url('coordinator')}/competitions/{self.competition}")

    async def _terms(self) -> bytes:
        return await self.world.public(f"/competitions/{self.competition}/terms")

    async def is_contract_output(self, role: str, vout: int) -> bool:
        """Funding, outcome and expiry hold the contract in output 0; a split in all but its anchor, the last one."""
        return vout == 0 if role in ("funding", "outcome", "expiry") else role == "split"

    async def invite(self) -> None:
        """Players come with a Lightning wallet each."""
        if self.terms is None:
            raise WorldError("demo", "the terms are not known")
        for number in range(self.plan.joining):
            keys = PlayerKeys.fresh()
            wallet = await self.world.wallet(f"player-{number + 1}-{keys.name}")
            player = Player(self.world.stack.url("coordinator"), keys, wallet, self.competition, self._voice(number))
            self.players.append(player)

    async def sell_tickets(self) -> None:
        """Players join side by side."""
        if self.terms is None:
            raise WorldError("demo", "the terms are not known")
        picks = [self.plan.picks(self.terms, number) for number in range(len(self.players))]
        await asyncio.gather(*(player.join(mine) for player, mine in zip(self.players, picks, strict=True)))
        self.report.say(f"{len(self.players)} tickets are held by Lightning, none is settled")

    def _voice(self, number: int) -> Callable[[str], None]:
        return lambda text: self.report.say(f"  player {number + 1} {text}")

    async def close_entries(self) -> None:
        """Let the closing time come."""
        if self.terms is None:
            raise WorldError("demo", "the terms are not known")
        await self.world.pass_until(self.terms.schedule.entries_close + 1)

    async def closing(self) -> None:
        """Every player keeps its appointment until the contract is signed."""
        await self._beside([player.keep_appointment() for player in self.players])
        await self.until("funding_broadcasted", "funding_confirmed")

    async def confirm_funding(self) -> None:
        """One block; then tickets are settled, one block at a time while holds are open."""
        await self.world.mine()
        await self.until("awaiting_attestation", each=self.world.mine_slowly)

    async def attest(self) -> None:
        """The observation passes and the oracle attests."""
        if self.terms is None:
            raise WorldError("demo", "the terms are not known")
        await self.world.pass_until(self.terms.observation.signing_date + 1)
        await self.until("outcome_broadcasted")
        await self._confirm("outcome")

    async def _confirm(self, role: str) -> None:
        """One block once the node holds the transaction of a role: stakes are paid when the expiry is in the chain."""
        try:
            async with asyncio.timeout(self._patience):
                while True:
                    if await self._was_sent(role):
                        break
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise WorldError("competition", f"sent no {role} transaction within {self._patience:.0f} s") from None
        await self.world.mine()

    async def _was_sent(self, role: str) -> bool:
        shown = (await self.world.competition(self.competition))["transactions"]
        return any(item["role"] == role for item in shown)

    async def script_nobody_right(self) -> None:
        """Observations so far off the forecasts that no pick of the refund scenario is right."""
        if self.terms is None:
            raise WorldError("demo", "the terms are not known")
        window = self.terms.observation.window
        observations = [
            {"station_id": target, "metric": metric.id, "time": moment, "value": 150.0}
            for target in self.terms.observation.targets
            for metric in self.terms.observation.metrics
            for moment in range(window.start, window.end, HOUR)
        ]
        await self.world.script_weather({"observations": observations, "forecasts": []})

    async def pay_winners(self) -> None:
        """Every player asks for its prize, if it has one; then the output is closed."""
        states = await self._beside([player.take_prize() for player in self.players])
        for number, (player, state) in enumerate(zip(self.players, states, strict=True), start=1):
            await self._result(number, player, state)
        await self.until("completed", each=self.world.mine_slowly)

    async def _result(self, number: int, player: Player, state: str) -> None:
        status = await player.api.get_json(f"{player.own}/payout", signed=True)
        paid = int(status.get("net", 0)) if state == "PAID" else 0
        how = "Lightning, atomic" if paid else "-"
        self.results.append(
            {"player": f"player {number}", "place": status.get("place"), "result": state, "paid": paid, "how": how}
        )

    async def _beside(self, work: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
        """Run the players' work and tell of every state meanwhile."""
        tasks = [asyncio.create_task(one) for one in work]
        try:
            async with asyncio.timeout(self._patience):
                while not all(task.done() for task in tasks):
                    await self.look()
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise WorldError("players", f"were not done while the competition was {self._seen}") from None
        finally:
            for task in tasks:
                task.cancel()
        return [task.result() for task in tasks]

    async def look(self) -> str:
        """The state now; told when it is new."""
        seen = await self.world.competition(self.competition)
        state = str(seen["state"])
        if state != self._seen:
            self._seen = state
            self.report.state(state, seen.get("reason"))
        return state

    async def until(self, *states: str, each: Callable[[], Awaitable[None]] | None = None) -> str:
        """Wait for a state. Raises WorldError when the competition ends otherwise, or takes too long."""
        try:
            async with asyncio.timeout(self._patience):
                while (state := await self.look()) not in states:
                    if state in ENDED:
                        raise WorldError("competition", f"is {state}, {' or '.join(states)} was expected")
                    if each is not None:
                        await each()
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            raise WorldError(
                "competition", f"did not reach {' or '.join(states)} within {self._patience:.0f} s"
            ) from None
        return state

    async def expire(self) -> None:
        """The oracle stays silent until the contract's expiry."""
        if self.terms is None:
            raise WorldError("demo", "the terms are not known")
        self.world.stack.children["oracle"].stop()
        self.report.say("the oracle is switched off and stays silent")
        await self.world.pass_until(self.terms.contract.expiry + HOUR)
        for _ in range(11):
            await self.world.mine()
        await self.until("expiry_broadcasted")
        await self._confirm("expiry")

    async def close(self) -> None:
        """Close the players' connections."""
        for player in self.players:
            await player.close()
