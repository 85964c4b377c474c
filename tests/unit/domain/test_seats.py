"""Seats: taken when the invoice is ACCEPTED, earlier ones first; what is beyond is given back at once."""

from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState
from coordinator.domain.seats import blocks_left, blocks_needed, seated, short_holds, surplus
from tests.support import lanes as b
from tests.support.lanes import Story

OPEN = s.CollectingEntries(terms_hash="h")


def cancelled(story: Story, state: s.Competition) -> set[str]:
    return {key.removeprefix("ln.cancel/") for key in story.wants(state) if key.startswith("ln.cancel/")}


def test_roster_is_in_entry_id_order_whatever_the_order_of_payment(story: Story) -> None:
    for at, e in enumerate(reversed(b.ROSTER)):
        story.put(b.ticket(e), b.entry(e), b.invoice(e, accepted_at=b.WALL + at))
    assert seated(story.lane) == b.ROSTER


def test_open_invoice_takes_no_seat(story: Story) -> None:
    story.put(*b.seats(b.ROSTER[:2]), *b.seats(b.ROSTER[2:], HoldState.OPEN))
    assert seated(story.lane) == b.ROSTER[:2]


def test_payment_without_a_signed_entry_takes_no_seat_and_is_given_back(story: Story) -> None:
    story.put(b.ticket("entry-1"), b.invoice("entry-1"))
    assert seated(story.lane) == ()
    assert cancelled(story, OPEN) == {b.ticket_hash("entry-1")}


def test_entry_of_an_earlier_generation_takes_no_seat(story: Story) -> None:
    story.put(b.ticket("entry-1", 2), b.entry("entry-1", 1), b.invoice("entry-1", generation=2))
    assert seated(story.lane) == ()


def test_late_payments_beyond_the_last_seat_are_given_back_at_once() -> None:
    story = Story(b.terms_with({"entries.maximum": 4}))
    for at, e in zip((5, 1, 2, 3, 4), b.PLAYERS, strict=True):
        story.put(b.ticket(e), b.entry(e), b.invoice(e, accepted_at=b.WALL + at))
    assert seated(story.lane) == b.PLAYERS[1:]
    assert [invoice.entry_id for invoice in surplus(story.lane)] == ["entry-1"]
    assert cancelled(story, OPEN) == {b.ticket_hash("entry-1")}


def test_paid_old_generation_is_given_back_and_the_present_one_stays(story: Story) -> None:
    old, new = b.invoice("entry-1", generation=1), b.invoice("entry-1", generation=2)
    story.put(b.ticket("entry-1", 2), b.entry("entry-1", 2), old, new)
    assert seated(story.lane) == ("entry-1",)
    assert cancelled(story, OPEN) == {old.payment_hash}


def test_a_hold_is_short_by_what_lightning_keeps_for_itself(story: Story) -> None:
    needed = blocks_needed(story.lane)
    assert needed == 31
    exact = b.invoice("entry-1", expiry_height=b.TIP + 18 + needed)
    assert blocks_left(story.lane, exact) == needed
    story.put(b.ticket("entry-1"), exact)
    assert short_holds(story.lane, ("entry-1",)) == frozenset()
    assert short_holds(story.set(tip=b.TIP + 1).lane, ("entry-1",)) == {"entry-1"}
    assert short_holds(story.lane, ("entry-2",)) == {"entry-2"}


def test_three_confirmations_need_two_blocks_more(mainnet_story: Story) -> None:
    assert blocks_needed(mainnet_story.lane) == 33


def test_held_money_of_the_roster_is_never_given_back_before_the_end(story: Story) -> None:
    story.put(*b.seats(b.PLAYERS[:4]))
    dropped = {b.ticket_hash("entry-4")}
    roster_states = (
        b.awaiting_escrow(),
        s.EscrowConfirmed(roster=b.ROSTER),
        b.event_created(),
        b.awaiting_keygen(),
        b.entries_submitted(),
        b.awaiting_signing(),
        b.funding_ready(),
        b.funding_broadcasted(),
        b.funding_confirmed(),
    )
    assert all(cancelled(story, state) == dropped for state in roster_states)
    everyone = {b.ticket_hash(e) for e in b.PLAYERS[:4]}
    assert cancelled(story, s.Returning(reason="r", ends_in="failed")) == everyone
    assert cancelled(story, OPEN) == set()


def test_invoice_exists_only_after_the_signed_entry_of_its_generation(story: Story) -> None:
    wanted = f"ln.create_invoice/{b.ticket_hash('entry-1')}"
    assert wanted not in story.put(b.ticket("entry-1")).wants(OPEN)
    assert wanted in story.put(b.entry("entry-1")).wants(OPEN)
    assert wanted not in story.wants(b.awaiting_escrow(()))
    assert wanted not in story.put(b.invoice("entry-1", HoldState.OPEN)).wants(OPEN)


def test_live_invoices_are_watched_until_they_are_final(story: Story) -> None:
    story.put(*b.seats(("entry-1",)), *b.seats(("entry-2",), HoldState.SETTLED))
    watched = {key for key in story.wants(b.funding_broadcasted()) if key.startswith("ln.watch_invoice/")}
    assert watched == {f"ln.watch_invoice/{b.ticket_hash('entry-1')}"}
