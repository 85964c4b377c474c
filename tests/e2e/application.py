"""TestApp: a coordinator with its services, played over HTTP only, as players and operators do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec

from coordinator.cli.demo.world import WorldError
from coordinator.player.keys import PlayerKeys
from coordinator.player.play import Player
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.terms import Terms, decode_terms
from coordinator_core.dlc import Contract
from coordinator_core.dlc.serialization import parameters_from_value
from coordinator_core.secret import Secret
from coordinator_core.transaction import OutPoint, Transaction
from coordinator_core.units import Sats
from tests.e2e.books import Sheet, follow_contract, lightning_account, sheet
from tests.e2e.chain import ChainControl
from tests.e2e.mock_oracle import MockOracle, Outcome
from tests.e2e.services import Services
from tests.e2e.waiting import PATIENCE_SECONDS, wait_for

HOUR, DAY = 3_600, 86_400
ENDED = frozenset({"completed", "cancelled", "failed"})
CLOSING = {"sealing": 20, "entries": 40, "approvals": 20, "signatures": 40, "kickoff_grace": 60}
WEIGHTS: Mapping[int, Sequence[int]] = {1: (1,), 2: (60, 40)}
OPERATOR_COINS = 20_000_000


@dataclass(slots=True)
class Competition:
    """A competition of a scenario and who plays in it."""

    id: str
    terms: Terms
    before: Sheet
    players: list[Player] = field(default_factory=list[Player])
    claimants: set[bytes] = field(default_factory=set[bytes])
    """Scripts that players had prizes paid to on chain."""
    bumps: set[str] = field(default_factory=set[str])
    """Children that spent the funding's change to pay for it."""

    @property
    def order(self) -> list[str]:
        """Entry ids as contract and oracle count them."""
        return sorted(player.entry_id for player in self.players)

    def index_of(self, player: Player) -> int:
        """A player's index in the contract when all play."""
        return self.order.index(player.entry_id)


class TestApp:
    """The scenarios' hands and eyes. Raises AssertionError when something does not come about."""

    __test__ = False

    def __init__(self, services: Services, oracle: MockOracle, chain: ChainControl) -> None:
        self.services = services
        self.oracle = oracle
        self.chain = chain
        self._next_player = 0
        self._wallets: list[Player] = []

    @property
    def coordinator_directory(self) -> Path:
        """The coordinator's data directory."""
        return self.services.stack.directory / "coordinator"

    async def start_coordinator(self) -> None:
        """A new process on the same directory, address and oracle."""
        await asyncio.to_thread(self.services.stack.start_coordinator, oracle_url=self.oracle.url)
        self.oracle.allow(bytes.fromhex(await asyncio.to_thread(self.services.stack.identity)))
        await self.wait_for_tip()

    async def wait_for_tip(self) -> None:
        """Wait until the coordinator has seen every block."""

        async def seen() -> bool:
            shown = msgspec.json.decode(await self.services.public("/status"))
            return int(shown["tip"]) == await self.chain.height()

        await wait_for(seen, "the coordinator at the tip")

    def kill_coordinator(self) -> None:
        """SIGKILL."""
        self.services.stack.children["coordinator"].kill()

    async def restart_coordinator(self) -> None:
        """SIGKILL, then a new process."""
        self.kill_coordinator()
        await self.start_coordinator()

    async def fund_operator(self) -> None:
        """Coins for the coordinator's wallet."""
        address = (await self.services.operator("POST", "/wallet/address"))["address"]
        await self.services.faucet(address, OPERATOR_COINS)
        await self.wait_for_tip()

    async def close(self) -> None:
        """Close every player's connections."""
        for player in self._wallets:
            await player.close()
        self._wallets.clear()

    async def create_competition(
        self,
        *,
        entries: int = 3,
        minimum: int | None = None,
        places: int = 1,
        scoring: str = "fixed",
        closing: Mapping[str, int] = CLOSING,
        **changes: object,
    ) -> Competition:
        """A published competition, open for entries."""
        name = await self.draft_competition(
            entries=entries, minimum=minimum, places=places, scoring=scoring, closing=closing, **changes
        )
        await self.until(name, "collecting_entries")
        return await self.adopt(name)

    async def draft_competition(
        self,
        *,
        entries: int = 3,
        minimum: int | None = None,
        places: int = 1,
        scoring: str = "fixed",
        closing: Mapping[str, int] = CLOSING,
        **changes: object,
    ) -> str:
        """Hand in a draft; the competition's id."""
        await self.wait_for_tip()
        closes = await self.chain.refresh() + HOUR
        ends = closes + 6 * HOUR + DAY
        draft: dict[str, Any] = {
            "title": "Weather in two cities",
            "network": "regtest",
            "targets": ["KORD", "KSAW"],
            "metrics": ["temp_high", "temp_low"],
            "values_per_entry": 2,
            "entries_close": _iso(closes),
            "observation_start": _iso(ends - DAY),
            "observation_end": _iso(ends),
            "signing_date": _iso(ends + HOUR),
            "entry_fee": 50_000,
            "minimum_entries": entries if minimum is None else minimum,
            "maximum_entries": entries,
            "oracle_url": self.oracle.url,
            "keymeld_gateway": self.services.stack.url("keymeld"),
            "scoring": scoring,
            "weights": list(WEIGHTS[places]),
            "closing": dict(closing),
            **changes,
        }
        return str((await self.services.operator("POST", "/competitions", {"draft": draft}))["id"])

    async def adopt(self, name: str) -> Competition:
        """A published competition by its id."""
        terms = decode_terms(await self.services.public(f"/competitions/{name}/terms"))
        return Competition(name, terms, await self.read_sheet(()))

    async def new_player(self, competition: Competition, url: str | None = None) -> Player:
        """A player with a funded Lightning node who has not joined; `url` is where it takes the coordinator to be."""
        self._next_player += 1
        alias = f"player-{self._next_player}"
        keys = PlayerKeys(Secret(self._next_player.to_bytes(32, "big")))
        wallet, opened = await self.services.new_wallet(alias)
        # What a wallet starts with is nobody's gain in this competition.
        competition.before = competition.before.with_change({lightning_account(k): v for k, v in opened.items()})
        player = Player(url or self.services.stack.url("coordinator"), keys, wallet, competition.id)
        self._wallets.append(player)
        return player

    async def add_entry(self, competition: Competition, picks: Sequence[Pick] | None = None) -> Player:
        """A player who joined and whose ticket is held."""
        player = await self.new_player(competition)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await player.join(picks or self.picks(competition, len(competition.players)))
        competition.players.append(player)
        return player

    def picks(self, competition: Competition, number: int) -> tuple[Pick, ...]:
        """Valid picks that differ from player to player."""
        observation = competition.terms.observation
        pairs = [(target, metric.id) for target in observation.targets for metric in observation.metrics]
        choices = list(Choice)
        chosen = pairs[: observation.values_per_entry]
        return tuple(
            Pick(target=target, metric=metric, choice=choices[(number + place) % len(choices)])
            for place, (target, metric) in enumerate(chosen)
        )

    async def cancel(self, competition: Competition, reason: str) -> None:
        """The operator cancels."""
        await self.services.operator("POST", f"/competitions/{competition.id}/cancel", {"reason": reason})

    async def mine_blocks(self, blocks: int = 1) -> None:
        """Mine."""
        await self.chain.mine(blocks)

    async def advance_time(self, moment: int) -> None:
        """Let chain time and median time go beyond a moment."""
        await self.chain.pass_median(moment)

    async def show(self, name: str) -> dict[str, Any] | None:
        """A competition as everyone sees it; None while the coordinator does not answer."""
        try:
            return await self.services.competition(name)
        except httpx.TransportError:
            return None

    async def wait_for_state(
        self, competition: Competition, *states: str, each: Callable[[], Awaitable[None]] | None = None
    ) -> str:
        """Wait until the competition is in one of the states; `each` runs between two looks."""
        return await self.until(competition.id, *states, each=each)

    async def until(self, name: str, *states: str, each: Callable[[], Awaitable[None]] | None = None) -> str:
        """As wait_for_state, by id."""
        seen = ""

        async def probe() -> str | None:
            nonlocal seen
            shown = await self.show(name)
            if shown is not None:
                seen = str(shown["state"])
                if seen not in states and seen in ENDED:
                    raise AssertionError(f"the competition is {seen}: {shown['reason']}; {states} was expected")
            if seen in states:
                return seen
            if each is not None:
                await each()
            return None

        try:
            return await wait_for(probe, " or ".join(states))
        except AssertionError as error:
            raise AssertionError(f"{error}; it was {seen}; {await self._open_duties(name)}") from None

    async def _open_duties(self, name: str) -> object:
        try:
            return (await self.services.operator("GET", f"/competitions/{name}/log"))["duties"]
        except (httpx.TransportError, WorldError) as error:
            return f"its duties are not known: {error!r}"

    async def transitions(self, competition: Competition) -> list[str]:
        """Every state the competition went to, in order."""
        log = await self.services.operator("GET", f"/competitions/{competition.id}/log")
        return [str(row["to"]) for row in log["transitions"]]

    async def reasons(self, competition: Competition) -> list[str]:
        """Why the competition went where it went, as the operator reads it."""
        log = await self.services.operator("GET", f"/competitions/{competition.id}/log")
        return [f"{row['to']}: {row['reason']}" for row in log["transitions"] if row["reason"]]

    async def close_entries(self, competition: Competition) -> None:
        """The closing time comes."""
        await self.chain.pass_until(competition.terms.schedule.entries_close)

    async def keep_appointments(self, competition: Competition, *absent: Player) -> None:
        """Every player but the absent ones stays until the closing is done."""
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            for player in competition.players:
                if player not in absent:
                    group.create_task(player.keep_appointment())

    async def sell_and_sign(self, competition: Competition, entries: int) -> None:
        """Tickets, closing, signatures: until the funding left."""
        await self.join_all(competition, entries)
        await self.close_entries(competition)
        await self.keep_appointments(competition)
        await self.wait_for_state(competition, "funding_broadcasted")

    async def join_all(self, competition: Competition, entries: int) -> None:
        """So many entries."""
        for _ in range(entries):
            await self.add_entry(competition)

    async def confirm_funding(self, competition: Competition) -> None:
        """One block; then every ticket is settled."""
        await self.wait_for_funding(competition)
        await self.mine_blocks()
        await self.wait_for_state(competition, "awaiting_attestation")

    async def wait_for_funding(self, competition: Competition) -> str:
        """The txid of the funding, once the node has it."""
        contract = await self.contract(competition)
        txid = contract.outpoint.txid[::-1].hex()

        async def known() -> bool:
            return txid in await self.services.rpc("getrawmempool") or await self.is_confirmed(txid)

        await wait_for(known, "the funding in the node")
        return txid

    async def is_confirmed(self, txid: str) -> bool:
        """True when a transaction is in the chain."""
        try:
            return await self.chain.confirmations(txid) > 0
        except WorldError:
            return False

    async def attest(self, competition: Competition, outcome: Outcome) -> None:
        """The oracle attests after the signing date; the outcome transaction confirms."""
        event = competition.terms.oracle.event_ids[await self.attempt(competition)]
        self.oracle.queue_attestation(event, outcome)
        await self.advance_time(competition.terms.observation.signing_date)
        await self.wait_for_state(competition, "outcome_broadcasted")
        await self.confirm_first(competition)

    async def confirm_first(self, competition: Competition) -> Transaction:
        """Mine the outcome or expiry transaction once the node has it."""
        found = await wait_for(lambda: self.get_outcome_tx(competition), "the outcome transaction")
        await self.mine_blocks()
        return found

    async def get_outcome_tx(self, competition: Competition) -> Transaction | None:
        """The outcome or expiry transaction, as the node has it; None before."""
        contract = await self.contract(competition)
        spender = await self.chain.spender(contract.outpoint)
        return None if spender is None else await self.chain.transaction(spender)

    async def attempt(self, competition: Competition) -> int:
        """The attempt whose contract is the newest."""
        return int((await self._contract_document(competition))["attempt"])

    async def contract(self, competition: Competition) -> Contract:
        """The contract, built from the published parameters."""
        document = await self._contract_document(competition)
        parameters = parameters_from_value(document["parameters"], "parameters")
        return Contract.build(parameters, OutPoint.parse(document["outpoint"]))

    async def _contract_document(self, competition: Competition) -> dict[str, Any]:
        return msgspec.json.decode(await self.services.public(f"/competitions/{competition.id}/contract"))

    async def take_prizes(self, competition: Competition, *absent: Player) -> dict[str, str]:
        """Every present player asks for its prize; the final state of each entry."""
        asking = [player for player in competition.players if player not in absent]
        async with asyncio.timeout(PATIENCE_SECONDS):
            states = await asyncio.gather(*(player.take_prize() for player in asking))
        return {player.entry_id: state for player, state in zip(asking, states, strict=True)}

    async def get_entry_balance(self, competition: Competition, player: Player) -> Sats:
        """What a player has gained (or lost) over Lightning since before the tickets, in whole satoshi."""
        return Sats(await self.services.gained(player, competition.before) // 1_000)

    async def price(self, competition: Competition, player: Player) -> Sats:
        """What a player's ticket cost, without routing."""
        ticket = await player.api.get_json(player.own, signed=True)
        return Sats(sum(ticket["price"].values()))

    async def ticket_states(self, competition: Competition) -> list[str]:
        """Each entry's invoice state."""
        shown = [await player.api.get_json(player.own, signed=True) for player in competition.players]
        return [str(ticket["ticket_state"]) for ticket in shown]

    async def read_sheet(self, competitions: Sequence[Competition]) -> Sheet:
        """Everyone's money now."""
        ledger = await self.services.ledger()
        wallet = await self.services.wallet_total()
        money = []
        for one in competitions:
            try:
                contract = await self.contract(one)
            except WorldError as error:
                if "not_there_yet" not in str(error):
                    raise
                continue
            if await self._was_funded(contract):
                money.append(
                    await follow_contract(self.chain, contract, frozenset(one.claimants), frozenset(one.bumps))
                )
        return sheet(wallet, ledger["nodes_msat"], ledger["held_msat"], money)

    async def _was_funded(self, contract: Contract) -> bool:
        return await self.is_confirmed(contract.outpoint.txid[::-1].hex())

    async def require_balanced_books(self, competition: Competition) -> dict[str, int]:
        """What changed for whom in millisatoshi; the sum is zero, nothing is held, no contract output is left."""
        await self.mine_blocks()
        changes = (await self.read_sheet([competition])).less(competition.before)
        assert sum(changes.values()) == 0, changes
        assert "held in Lightning" not in changes
        assert "contracts" not in changes
        return changes

    async def require_unfunded_books(self, competition: Competition) -> dict[str, int]:
        """What changed for whom in millisatoshi when there was no contract; nothing is held."""
        await self.mine_blocks()
        changes = (await self.read_sheet([])).less(competition.before)
        assert "held in Lightning" not in changes
        return changes


def entry_uuid(player: Player) -> UUID:
    """The id of a player's entry."""
    return UUID(player.entry_id)


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
