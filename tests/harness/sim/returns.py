"""A failure in every state before the funding: everything has to go back, and nothing may stay behind (G14)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final, cast

from coordinator.embedded.lightning.model import Invoice, InvoiceState
from coordinator.embedded.lightning.network import COORDINATOR, Network
from coordinator.embedded.oracle.faults import WriteFault
from coordinator.player.http import NoAnswer, ServerRefused, Service
from coordinator.player.play import Player
from coordinator.player.wallet import Wallet
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import VerificationFailed
from coordinator_core.units import Sats
from tests.e2e.application import CLOSING, Competition
from tests.e2e.books import Sheet
from tests.harness.outside import Records
from tests.harness.sim.course import PLAYERS, REAL_WINDOWS, Course
from tests.harness.sim.world import DEPENDENCIES, OWNERS, SimApp, wait_for

LONGEST_LIFE: Final = 86_400
"""Seconds a keymeld session may live (money section 5)."""
RETURNED: Final = ("cancelled", "failed")
WITHOUT_END: Final = 1_000_000


@dataclass(slots=True)
class Scene:
    """A competition that is about to fail."""

    app: SimApp
    course: Course
    appointments: dict[str, asyncio.Task[object]]

    @property
    def id(self) -> str:
        """The competition's."""
        return self.course.played.id

    def strike_in(self, state: str, strike: Callable[[], None]) -> None:
        """Let something happen at the instant the competition is in a state, before anything is done about it."""
        self.app.journal.on(self.id, state, strike)

    def break_off(self, service: str) -> Callable[[], None]:
        """What takes a service away for good."""

        def strike() -> None:
            for link in self.app.dependency(service).links:
                link.break_off()

        return strike

    def mend(self) -> None:
        """Every service is back."""
        for name in DEPENDENCIES:
            for link in self.app.dependency(name).links:
                link.mend()

    def invoices(self) -> list[Invoice]:
        """The coordinator's, as its Lightning node has them."""
        return [one for one in self._lightning.state.invoices.values() if one.node == COORDINATOR]

    @property
    def _lightning(self) -> Network:
        network = self.app.sim.lightning.lightning
        assert network is not None
        return network

    async def sell(self, tickets: int = PLAYERS) -> None:
        """So many held tickets."""
        await self.app.join_all(self.course.played, tickets)

    async def close_entries(self, *absent: Player) -> None:
        """The closing time comes; every player but the absent keeps the appointment."""
        await self.app.close_entries(self.course.played)
        for player in self.course.played.players:
            if player not in absent:
                self.appointments[player.entry_id] = asyncio.create_task(_attend(player))

    async def pass_deadline(self) -> None:
        """Blocks come until no funding may leave any more."""
        deadline = self.course.played.terms.schedule.funding_deadline
        await self.app.mine_blocks(max(1, deadline - await self.app.chain.height() + 1))

    def lose_hold(self) -> None:
        """Lightning gives one of the held payments back by itself."""
        self._lightning.cancel_invoice(COORDINATOR, bytes.fromhex(self.course.played.players[0].ticket_hash))

    def leave(self) -> None:
        """The first player closes the page."""
        self.appointments[self.course.played.players[0].entry_id].cancel()


async def _attend(player: Player) -> object:
    """As a page does. What is left at the end is that the ticket was given back."""
    try:
        return await player.keep_appointment()
    except (NoAnswer, ServerRefused, VerificationFailed) as error:
        return error


Act = Callable[[Scene], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Failure:
    """How a competition fails, and in which state."""

    name: str
    state: str
    act: Act
    coins: bool = True
    """False: the coordinator's wallet is empty."""
    brief: bool = False
    """True: windows of a demonstration, for failures that are told only by their end."""


async def _cancelled_as_draft(scene: Scene) -> None:
    await scene.app.cancel(scene.course.played, "a mistake in the draft")


class _Unwilling:
    """A wallet that pays nothing, and otherwise is the one that it stands for."""

    def __init__(self, wallet: Wallet) -> None:
        self._wallet = wallet

    def __getattr__(self, name: str) -> object:
        return getattr(self._wallet, name)

    async def pay_held(self, payment_request: str, fee_limit: Sats) -> None:
        """Leave the invoice open."""


async def _cancelled_while_open(scene: Scene) -> None:
    await scene.sell(PLAYERS - 1)
    late = await scene.app.new_player(scene.course.played)
    late.wallet = cast("Wallet", _Unwilling(late.wallet))
    joining = asyncio.create_task(late.join(scene.app.picks(scene.course.played, PLAYERS)))
    await wait_for(lambda: _has_open_invoice(scene), "an open invoice")
    joining.cancel()
    await scene.app.cancel(scene.course.played, "the weather is bad")


async def _has_open_invoice(scene: Scene) -> bool:
    return any(invoice.state is InvoiceState.OPEN for invoice in scene.invoices())


async def _never_published(scene: Scene) -> None:
    await scene.app.chain.pass_until(scene.app.chain.time + 2 * 3_600)


async def _under_filled(scene: Scene) -> None:
    await scene.sell(PLAYERS - 1)
    await scene.close_entries()


async def _away_from(scene: Scene, state: str, service: str) -> None:
    """A service is gone for good as soon as the state is reached; the coordinator learns of the end by blocks."""
    await scene.sell()
    scene.strike_in(state, scene.break_off(service))
    await scene.close_entries()
    await scene.app.journal.until_reached(scene.id, state)
    await asyncio.sleep(30)
    await scene.pass_deadline()
    await asyncio.sleep(30)
    scene.mend()


def _away(state: str, service: str) -> Act:
    async def act(scene: Scene) -> None:
        await _away_from(scene, state, service)

    return act


async def _lightning_away_at_the_closing(scene: Scene) -> None:
    await scene.sell()
    scene.break_off("lightning")()
    await scene.close_entries()
    await scene.app.journal.until_reached(scene.id, "awaiting_escrow")
    await scene.pass_deadline()
    await asyncio.sleep(30)
    scene.mend()


async def _holds_lost_at_the_closing(scene: Scene) -> None:
    await scene.sell()
    scene.strike_in("awaiting_escrow", scene.lose_hold)
    await scene.close_entries()


async def _oracle_refuses_events(scene: Scene) -> None:
    await scene.sell()
    scene.app.oracle.faults.set(WriteFault.REFUSED, WITHOUT_END)
    await scene.close_entries()
    await scene.app.journal.until_reached(scene.id, "event_created")
    await scene.pass_deadline()


async def _oracle_refuses_entries(scene: Scene) -> None:
    await scene.sell()
    scene.strike_in("entries_submitted", lambda: scene.app.oracle.faults.set(WriteFault.REFUSED, WITHOUT_END))
    await scene.close_entries()
    await scene.app.journal.until_reached(scene.id, "entries_submitted")
    await asyncio.sleep(30)
    await scene.pass_deadline()


async def _player_never_seals(scene: Scene) -> None:
    await scene.sell()
    await scene.close_entries(scene.course.played.players[0])


async def _player_leaves_before_approving(scene: Scene) -> None:
    await scene.sell()
    scene.strike_in("awaiting_signing", scene.leave)
    await scene.close_entries()


async def _kick_off_refused(scene: Scene) -> None:
    await scene.sell()
    await _wait_in_vain(scene)


async def _no_fee_estimate(scene: Scene) -> None:
    await scene.sell()
    node = scene.app.sim.node.node
    assert node is not None
    node.set_estimates(None)
    await _wait_in_vain(scene)


async def _wait_in_vain(scene: Scene) -> None:
    """The kick-off check fails until no funding may leave any more."""
    await scene.close_entries()
    await scene.app.journal.until_reached(scene.id, "entries_submitted")
    await asyncio.sleep(30)
    assert scene.app.journal.look(scene.id) == "entries_submitted", "the kick-off was allowed"
    await scene.pass_deadline()


async def _wrong_signatures(scene: Scene) -> None:
    await scene.sell()
    await scene.app.services.keymeld_fault(kind="bad_signature", operation="signing")
    await scene.close_entries()


async def _hold_lost_before_the_funding(scene: Scene) -> None:
    await scene.sell()
    scene.strike_in("funding_ready", scene.lose_hold)
    await scene.close_entries()


def _two_owners(state: str, service: str) -> Act:
    """Two owners end a closing that a service holds up in this state; one alone cannot."""

    async def act(scene: Scene) -> None:
        await scene.sell()
        scene.strike_in(state, scene.break_off(service))
        await scene.close_entries()
        await scene.app.journal.until_reached(scene.id, state)
        first, second = (Service("coordinator", scene.app.services.stack.url("coordinator"), key) for key in OWNERS)
        path, body = f"/api/v1/operator/competitions/{scene.id}/cancel", {"reason": "the gateway is compromised"}
        await first.send(path, body, object, signed=True)
        await asyncio.sleep(5)
        assert scene.app.journal.look(scene.id) == state, "one owner alone ended a closing"
        await second.send(path, body, object, signed=True)
        for one in (first, second):
            await one.close()
        scene.mend()

    return act


FAILURES: Final = (
    Failure("the operator cancels the draft", "created", _cancelled_as_draft),
    Failure("the oracle is away until the closing time", "created", _never_published),
    Failure("the operator cancels", "collecting_entries", _cancelled_while_open),
    Failure("too few tickets", "collecting_entries", _under_filled),
    Failure("Lightning is away until the end", "awaiting_escrow", _lightning_away_at_the_closing),
    Failure("a hold was lost", "awaiting_escrow", _holds_lost_at_the_closing),
    Failure("the oracle cannot assess", "escrow_confirmed", _away("escrow_confirmed", "oracle")),
    Failure("the oracle refuses the event", "event_created", _oracle_refuses_events),
    Failure("two owners agree", "event_created", _two_owners("event_created", "oracle")),
    Failure("keymeld is dead", "awaiting_keygen", _away("awaiting_keygen", "keymeld")),
    Failure("a player never seals", "awaiting_keygen", _player_never_seals, brief=True),
    Failure("two owners agree", "awaiting_keygen", _two_owners("awaiting_keygen", "keymeld")),
    Failure("the oracle refuses the entries", "entries_submitted", _oracle_refuses_entries),
    Failure("no coins", "entries_submitted", _kick_off_refused, coins=False),
    Failure("no fee estimate", "entries_submitted", _no_fee_estimate),
    Failure("keymeld is dead", "awaiting_signing", _away("awaiting_signing", "keymeld")),
    Failure("a player leaves", "awaiting_signing", _player_leaves_before_approving, brief=True),
    Failure("every signature is wrong", "awaiting_signing", _wrong_signatures, brief=True),
    Failure("two owners agree", "awaiting_signing", _two_owners("awaiting_signing", "keymeld")),
    Failure("a hold was lost", "funding_ready", _hold_lost_before_the_funding),
    Failure("Lightning is away until the end", "funding_ready", _away("funding_ready", "lightning")),
    Failure("the node is away until the end", "funding_ready", _away("funding_ready", "node")),
)


async def play(app: SimApp, failure: Failure) -> tuple[str, ...]:
    """Fail in this way; the rules that were broken."""
    scene = Scene(app, Course(app), {})
    if failure.state == "created":
        scene.break_off("oracle")()
        scene.course.competition = await _draft(app)
    else:
        await scene.course.create(closing=CLOSING if failure.brief else REAL_WINDOWS)
    await failure.act(scene)
    await app.journal.until(scene.id, RETURNED)
    await asyncio.gather(*scene.appointments.values(), return_exceptions=True)
    reached = any(step.state == failure.state for step in app.journal.steps if step.lane == scene.id)
    after = await app.read_sheet([])
    return tuple(_violations(scene, reached or failure.state == "created", scene.course.played.before, after))


async def _draft(app: SimApp) -> Competition:
    """A competition that was handed in and has no terms yet: nobody asks for them in these scenes."""
    name = await app.draft_competition(entries=PLAYERS, scoring="lines")
    return Competition(name, cast("Terms", None), await app.read_sheet(()))


def _violations(scene: Scene, reached: bool, before: Sheet, after: Sheet) -> Iterator[str]:
    if not reached:
        yield "the state was never reached"
    yield from _invoices(scene)
    records = Records(scene.app.coordinator_directory / "coordinator.db")
    yield from (f"the coin {coin} is still reserved" for coin in records.coins_reserved(scene.id))
    yield from (f"the duty {duty} is still open" for duty in records.open_duties(scene.id))
    yield from _sessions(scene)
    yield from (f"{name} changed by {change} msat" for name, change in after.less(before).items())


def _invoices(scene: Scene) -> Iterator[str]:
    for invoice in scene.invoices():
        if invoice.state is not InvoiceState.CANCELED:
            yield f"the invoice {invoice.payment_hash.hex()[:8]} is {invoice.state}"


def _sessions(scene: Scene) -> Iterator[str]:
    path = scene.app.coordinator_directory.parent / "keymeld" / "gateway.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        for session, created, expires in database.execute("SELECT id, created_at, expires_at FROM keygen"):
            if expires - created > LONGEST_LIFE:
                yield f"the keygen session {session} lives for {expires - created} s"
        query = "SELECT s.id, s.expires_at, k.expires_at FROM signing s JOIN keygen k ON k.id = s.keygen_id"
        for session, expires, end in database.execute(query):
            if expires > end:
                yield f"the signing session {session} outlives its keygen"
