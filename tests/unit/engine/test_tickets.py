"""Reservations, renewals and signed entries as commands: seats, bars, pauses, and money that comes too late."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.duties import CancelInvoice, Duty, WatchInvoice
from coordinator.domain.facts import HoldState
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.commands import tickets
from coordinator.engine.dependencies import Away, Dependency
from coordinator.engine.duty import Task
from coordinator.engine.executors.registry import executors
from coordinator.engine.new_money import Barred, NewMoney, NewMoneyPaused
from coordinator.engine.submit import Conflict, Decision
from coordinator_core.competition.fees import FeeMarket, NetworkFeeTooHigh
from coordinator_core.competition.ids import uuid7
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Refused
from coordinator_core.nostr.event import Event
from coordinator_core.units import Blocks, FeeRate, Sats, Seconds, UnixTime
from tests.support import lanes as b
from tests.support import scene
from tests.support.lanes import Story
from tests.support.ports import MemorySecrets

OPEN = s.CollectingEntries(terms_hash="h")
MONEY = NewMoney(FeeMarket(FeeRate(500), FeeRate(250)))
DEAR = NewMoney(FeeMarket(FeeRate(12_000), FeeRate(250)))
SIGNER = MemorySecrets().signing_key("nostr")
ME, OTHERS = scene.PLAYERS[0], scene.PLAYERS[1:]
FULL = {"entries.maximum": 3}


def away(dependency: Dependency) -> NewMoney:
    return NewMoney(MONEY.market, (Away(dependency, UnixTime(0), "does not answer"),))


def story_of(*players: scene.Player, state: HoldState = HoldState.ACCEPTED, full: bool = False) -> Story:
    story = Story(b.terms_with(FULL if full else None))
    return story.put(*(fact for player in players for fact in player.facts(story.terms, state)))


def reserve(story: Story, money: NewMoney = MONEY, state: s.Competition = OPEN) -> Decision:
    entry_id = uuid7(UnixTime(b.WALL))
    return tickets.reserve(entry_id, ME.identity.x_only, b"\x01" * 32, money, SIGNER)(state, story.lane)


def renew(story: Story, money: NewMoney = MONEY) -> Decision:
    return tickets.renew(ME.id, ME.identity.x_only, b"\x02" * 32, money, SIGNER)(OPEN, story.lane)


def hand_in(story: Story, money: NewMoney = MONEY) -> Decision:
    known = story.lane.facts.get(f.Entry, ME.name)
    event = ME.entry(story.terms).event if known is None else msgspec.json.decode(known.signed_event, type=Event)
    return tickets.hand_in(ME.id, ME.identity.x_only, event, money, SIGNER, ())(OPEN, story.lane)


def reserved_only(story: Story) -> Story:
    """My ticket, without signed entry and invoice."""
    mine = [fact for fact in ME.facts(story.terms) if isinstance(fact, f.Ticket)]
    return story.put(*mine)


class TestReserve:
    def test_price_and_receipt_are_fixed(self) -> None:
        (ticket,) = reserve(story_of(*OTHERS)).facts
        assert isinstance(ticket, f.Ticket)
        assert (ticket.generation, ticket.entry_fee) == (1, 50_000)

    def test_no_seat_is_left(self) -> None:
        story = story_of(*OTHERS, full=True)
        assert reserve(story)
        with pytest.raises(Conflict, match="all seats are taken"):
            reserve(story_of(*scene.PLAYERS, full=True))

    def test_barred_player_is_told_until_when_whatever_else(self) -> None:
        money = NewMoney(MONEY.market, barred_until=UnixTime(1_800_000_000))
        with pytest.raises(Barred, match="new tickets again from 2027-01-15 08:00:00 UTC"):
            reserve(story_of(), money)

    @pytest.mark.parametrize("dependency", list(Dependency))
    def test_none_while_a_service_is_away(self, dependency: Dependency) -> None:
        with pytest.raises(NewMoneyPaused, match=f"{dependency.value} does not answer since 1970-01-01"):
            reserve(story_of(), away(dependency))

    def test_none_while_fees_are_out_of_proportion(self) -> None:
        with pytest.raises(NetworkFeeTooHigh):
            reserve(story_of(), DEAR)


class TestRenew:
    def expired(self, *others: scene.Player, full: bool = False) -> Story:
        """My invoice was not paid in time; the others hold their seats."""
        return story_of(*others, full=full).put(*ME.facts(b.terms_with(), HoldState.CANCELED))

    def test_next_generation_keeps_the_entry_id(self) -> None:
        (ticket,) = renew(self.expired()).facts
        assert isinstance(ticket, f.Ticket)
        assert (ticket.entry_id, ticket.generation) == (ME.name, 2)

    def test_full_seats_refuse_it_like_a_reservation(self) -> None:
        assert renew(self.expired(*OTHERS, full=True))
        with pytest.raises(Conflict, match="all seats are taken"):
            renew(self.expired(*OTHERS, full=True).put(*b.seats(("entry-1",))))

    def test_an_entry_that_has_a_seat_is_not_renewed(self) -> None:
        with pytest.raises(Conflict, match="is paid already"):
            renew(story_of(*scene.PLAYERS, full=True))

    def test_an_invoice_that_can_be_paid_is_not_replaced(self) -> None:
        story = story_of(ME, state=HoldState.OPEN)
        with pytest.raises(Conflict, match="can still be paid"):
            renew(story)
        assert renew(story.set(wall=b.WALL + 600))

    @pytest.mark.parametrize("money", [*(away(d) for d in Dependency), DEAR])
    def test_none_while_new_money_pauses(self, money: NewMoney) -> None:
        with pytest.raises((NewMoneyPaused, NetworkFeeTooHigh)):
            renew(self.expired(), money)

    def test_a_bar_is_for_new_reservations_only(self) -> None:
        assert renew(self.expired(), NewMoney(MONEY.market, barred_until=UnixTime(b.WALL + 1)))


class TestHandIn:
    def test_entry_is_taken_with_its_keys_reserved(self) -> None:
        decision = hand_in(reserved_only(story_of()))
        assert [fact.kind() for fact in decision.facts] == ["entry"]
        assert len(decision.resources) == 10

    @pytest.mark.parametrize("money", [*(away(d) for d in Dependency), DEAR, NewMoney(None)])
    def test_none_while_new_money_pauses_but_what_was_taken_keeps_its_answer(self, money: NewMoney) -> None:
        with pytest.raises(Refused):
            hand_in(reserved_only(story_of()), money)
        again = hand_in(story_of(ME, state=HoldState.OPEN), money)
        assert list(again.facts) == []
        assert again.answer["payment_hash"] == ME.ticket_hash.hex()  # type: ignore[index]


def unpaid(player: scene.Player, terms: Terms) -> list[f.Fact]:
    """Ticket, signed entry, and an invoice that nobody has paid yet."""
    *entry, invoice = player.facts(terms, HoldState.OPEN)
    values = {name: getattr(invoice, name) for name in invoice.__struct_fields__}
    return [*entry, f.Invoice(**{**values, "accepted_at": None, "expiry_height": None})]


async def task_of(bench: Any, lane: str, duty: Duty) -> Task[Any]:
    """A duty with the competition as it is stored now."""
    record = await bench.house.store.lane(lane)
    view = codec.lane_of(record, await world_of(record, bench.house.clockwork))
    return Task(duty.id(lane), duty, codec.decode_state(record.state), view, 1)


async def test_a_payment_over_full_seats_is_given_back_at_once(bench: Any) -> None:
    """Three pay for two seats: Lightning's word comes in, the lane is applied, the last one is canceled."""
    house, lightning = bench.house, bench.services.lightning
    terms = b.terms_with({"entries.maximum": 3, "entries.minimum": 3})
    extra = b.seats(("entry-1",), HoldState.ACCEPTED)
    reserved = [fact for player in scene.PLAYERS for fact in unpaid(player, terms)]
    lane = await house.lane(OPEN, *extra, *reserved, terms=terms)
    work = executors(bench.services, lambda: MONEY)
    for at, player in enumerate(scene.PLAYERS):
        payment_hash = player.ticket_hash.hex()
        await lightning.add_hold_invoice(
            payment_hash, Sats(71_500), description_hash=bytes(32), expiry=Seconds(600), cltv_expiry=Blocks(143)
        )
        lightning.hold(payment_hash, b.DEADLINE + 49)
        house.clock.seconds = b.WALL + 1 + at
        seen = await work["ln.watch_invoice"](await task_of(bench, lane, WatchInvoice(payment_hash=payment_hash)))
        await house.put(lane, *seen.facts)
        await house.apply(lane)
    last = scene.PLAYERS[2].ticket_hash.hex()
    wanted = {name for name in await house.duties(lane) if name.startswith("ln.cancel/")}
    assert wanted == {f"ln.cancel/{last}"}
    done = await work["ln.cancel"](await task_of(bench, lane, CancelInvoice(payment_hash=last)))
    await house.put(lane, *done.facts)
    await house.apply(lane)
    assert {name: found.state.value for name, found in lightning.invoices.items()} == {
        scene.PLAYERS[0].ticket_hash.hex(): "ACCEPTED",
        scene.PLAYERS[1].ticket_hash.hex(): "ACCEPTED",
        last: "CANCELED",
    }
    assert not any(name.startswith("ln.cancel/") for name in await house.duties(lane))
