"""Signed entries: whose they are, what a renewal may change, and whose keys they may hold."""

from __future__ import annotations

import hashlib

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.engine.commands import tickets
from coordinator.engine.new_money import NewMoney
from coordinator.engine.submit import Conflict, Decision
from coordinator_core.competition.entries import sign_entry
from coordinator_core.competition.fees import FeeMarket
from coordinator_core.competition.ids import uuid7
from coordinator_core.competition.picks import Choice
from coordinator_core.errors import CoreError, Fault, InvalidInput
from coordinator_core.nostr.event import Event
from coordinator_core.secp256k1 import schnorr_sign
from coordinator_core.secret import Secret
from coordinator_core.units import FeeRate, UnixTime
from tests.support import lanes as b
from tests.support import scene
from tests.support.attempt import altered
from tests.support.lanes import Story
from tests.support.ports import MemorySecrets

OPEN = s.CollectingEntries(terms_hash="h")
MONEY = NewMoney(FeeMarket(FeeRate(500), FeeRate(250)))
SIGNER = MemorySecrets().signing_key("nostr")
ME, OTHER = scene.PLAYERS[0], scene.PLAYERS[1]


def hand_in(
    story: Story,
    event: Event | None = None,
    *,
    by: scene.Player = ME,
    own_keys: tuple[bytes, ...] = (),
    state: s.Competition = OPEN,
) -> Decision:
    event = event or ME.entry(story.terms).event
    return tickets.hand_in(ME.id, by.identity.x_only, event, MONEY, SIGNER, own_keys)(state, story.lane)


@pytest.fixture
def reserved(story: Story) -> Story:
    """My ticket, nothing signed yet."""
    return story.put(ME.facts(story.terms)[0])


@pytest.fixture
def story() -> Story:
    return Story()


def renewed(story: Story, preimage: bytes = b"\x66" * 32) -> bytes:
    """A second generation of my ticket, whose invoice was not paid; its hash."""
    ticket, entry, invoice = ME.facts(story.terms, HoldState.CANCELED)
    ticket_hash = hashlib.sha256(preimage).digest()
    story.put(ticket, entry, invoice, altered(ticket, generation=2, ticket_hash=ticket_hash.hex()))
    return ticket_hash


class TestHandIn:
    def test_keys_and_hashes_are_reserved_for_ever_each_under_its_own_field(self, reserved: Story) -> None:
        decision = hand_in(reserved)
        (entry,) = decision.facts
        assert isinstance(entry, f.Entry)
        names = [resource for resource, _, _ in decision.resources]
        assert names == [
            *(f"key:{key[2:]}" for key in entry.entry_keys),
            f"key:{entry.slot_key[2:]}",
            f"hash:{entry.payout_hash}",
        ]
        assert [field for _, _, field in decision.resources][-2:] == ["entry.slot_key", "entry.payout_hash"]

    def test_the_price_of_a_reservation_does_not_stand_for_ever(self, reserved: Story) -> None:
        event = ME.entry(reserved.terms).event
        first = hand_in(reserved.set(wall=b.WALL + 599), event)
        reserved.set(wall=b.WALL + 600)
        with pytest.raises(tickets.ReservationLapsed, match="renew it"):
            hand_in(reserved, event)
        reserved.put(*first.facts)
        assert hand_in(reserved, event).facts == []

    def test_an_entry_that_was_taken_stays_taken_however_often_it_is_signed(self, reserved: Story) -> None:
        """Signed again after the price lapsed, its invoice yet to be made: it was refused, and a renewal as well."""
        reserved.put(*hand_in(reserved, ME.entry(reserved.terms).event).facts)
        reserved.set(wall=b.WALL + 600)
        again = ME.entry(reserved.terms).event
        signature = schnorr_sign(bytes.fromhex(again.id), ME.identity, b"\x01" * 32).hex()
        assert signature != again.sig
        assert hand_in(reserved, altered(again, sig=signature)).facts == []

    def test_not_for_anothers_ticket(self, reserved: Story) -> None:
        with pytest.raises(InvalidInput, match="is not one of yours"):
            hand_in(reserved, by=OTHER)

    def test_not_an_entry_that_another_player_signed(self, reserved: Story) -> None:
        with pytest.raises(CoreError) as caught:
            hand_in(reserved, OTHER.entry(reserved.terms).event)
        assert caught.value.fault is Fault.PLAYER

    @pytest.mark.parametrize("place", [0, 7, "slot"])
    def test_none_with_a_key_of_ours_whatever_its_parity(self, reserved: Story, place: int | str) -> None:
        """A contract of such an entry could be signed by us alone."""
        entry = ME.entry(reserved.terms)
        key = entry.slot_key if place == "slot" else entry.keys[int(place)]
        flipped = bytes([key[0] ^ 1]) + key[1:]
        for own in (key, flipped, key[1:]):
            with pytest.raises(InvalidInput, match="uses a key of the coordinator"):
                hand_in(reserved, own_keys=(SIGNER.public_key, own))
        assert hand_in(reserved, own_keys=(SIGNER.public_key,)).facts

    @pytest.mark.parametrize("state", [b.awaiting_escrow(), b.awaiting_keygen()])
    def test_not_once_entries_have_closed(self, reserved: Story, state: s.Competition) -> None:
        with pytest.raises(Conflict, match="takes no entries now"):
            hand_in(reserved, state=state)
        with pytest.raises(Conflict, match="entries have closed"):
            hand_in(reserved.set(now=b.CLOSE))


class TestRenewal:
    def entry(self, story: Story, ticket_hash: bytes, root: Secret = ME.root, choice: Choice = Choice.UNDER) -> Event:
        picks = (altered(scene.PICKS[0], choice=choice), *scene.PICKS[1:])
        values = {"terms_hash": story.terms.hash, "entry_id": ME.id, "ticket_hash": ticket_hash, "picks": picks}
        return sign_entry(ME.identity, root, created_at=UnixTime(b.WALL), **values).event

    def test_changes_the_ticket_hash_alone(self, story: Story) -> None:
        ticket_hash = renewed(story)
        (entry,) = hand_in(story, self.entry(story, ticket_hash)).facts
        assert isinstance(entry, f.Entry)
        assert (entry.generation, entry.ticket_hash) == (2, ticket_hash.hex())

    def test_no_picks_that_were_chosen_anew(self, story: Story) -> None:
        ticket_hash = renewed(story)
        with pytest.raises(InvalidInput, match="changes keys, payout hash or picks"):
            hand_in(story, self.entry(story, ticket_hash, choice=Choice.OVER))

    def test_no_fresh_keys(self, story: Story) -> None:
        ticket_hash = renewed(story)
        with pytest.raises(InvalidInput, match="changes keys, payout hash or picks"):
            hand_in(story, self.entry(story, ticket_hash, root=OTHER.root))

    def test_no_entry_for_the_hash_of_the_ticket_before(self, story: Story) -> None:
        """Its preimage may have been paid for already."""
        renewed(story)
        with pytest.raises(CoreError):
            hand_in(story, self.entry(story, ME.ticket_hash))


def test_squatters_can_hold_only_so_many_reservations(story: Story) -> None:
    limit = tickets.MAX_OPEN_RESERVATIONS * story.terms.entries.maximum
    (ticket, *_) = ME.facts(story.terms)
    story.put(*(altered(ticket, entry_id=f"e{n}", ticket_hash=f"{n:064x}") for n in range(limit - 1)))

    def reserve() -> Decision:
        entry_id = uuid7(UnixTime(b.WALL))
        return tickets.reserve(entry_id, ME.identity.x_only, b"\x01" * 32, MONEY, SIGNER)(OPEN, story.lane)

    assert reserve().facts
    story.put(altered(ticket, entry_id="last", ticket_hash=f"{limit:064x}"))
    with pytest.raises(Conflict, match="too many reservations are open"):
        reserve()
    story.set(wall=UnixTime(b.WALL + 599))
    with pytest.raises(Conflict, match="ten minutes"):
        reserve()
    story.set(wall=UnixTime(b.WALL + 600))
    assert reserve().facts


def test_an_invoice_is_shown_once_it_exists(story: Story) -> None:
    assert tickets.invoice_answer(story.lane, ME.name) is None
    ticket, entry, invoice = ME.facts(story.terms, HoldState.OPEN)
    story.put(ticket, entry)
    assert tickets.invoice_answer(story.lane, ME.name) is None
    answer = tickets.invoice_answer(story.put(invoice).lane, ME.name)
    assert answer is not None
    assert (answer["payment_hash"], answer["state"]) == (ME.ticket_hash.hex(), "OPEN")
    assert tickets.preimage_hash(ME.preimage) == ME.ticket_hash
