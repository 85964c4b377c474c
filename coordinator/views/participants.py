"""Entries as everyone may see them, and who is awaited."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from coordinator.domain.competitions import debts
from coordinator.domain.competitions.awaited import Clock, Until
from coordinator.domain.competitions.missing import missing
from coordinator.domain.competitions.states import Competition
from coordinator.domain.facts import Entry, HoldState, Invoice, Seal, SessionOpen, Ticket
from coordinator.domain.lane import Lane
from coordinator.views.moments import Moment, moment
from coordinator.views.rosters import roster_of
from coordinator.views.words import PARTIES, middle, sats
from coordinator_core.competition.picks import Pick
from coordinator_core.nostr.nip19 import npub
from coordinator_core.units import UnixTime

SHOWN_PICKS = 12
_PICKS = msgspec.json.Decoder(tuple[Pick, ...])


@dataclass(frozen=True, slots=True)
class Player:
    """An entry id and its player's key, whole and shortened."""

    entry_id: str
    entry_short: str
    npub: str
    npub_short: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    """One entry. `picks` are empty until they were opened; `more` counts those not shown."""

    player: Player
    state: str
    picks: tuple[str, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Awaited:
    """Who is waited for, what for, until when: a date, a block, or as soon as it can be."""

    who: str
    player: Player | None
    """None for a service, and for whoever wants to."""
    what: str
    until: Moment | None
    height: str


def player_of(lane: Lane, entry_id: str) -> Player:
    """Names of the player behind an entry."""
    ticket = lane.facts.get(Ticket, entry_id)
    name = "" if ticket is None else npub(bytes.fromhex(ticket.player))
    return Player(entry_id, middle(entry_id), name, middle(name))


def entry_rows(state: Competition, lane: Lane) -> tuple[EntryRow, ...]:
    """Entries that hold or held a seat, in the order of the contract. Unpaid reservations are only counted."""
    roster = frozenset(roster_of(state, lane))
    frozen = getattr(state, "roster", None) is not None
    dropped = _once_in_an_attempt(lane) - roster
    rows: list[EntryRow] = []
    for entry in lane.facts.all(Entry):
        words = _entry_state(lane, entry, in_contract=frozen and entry.entry_id in roster)
        if words is None and entry.entry_id not in roster | dropped:
            continue
        left_out = frozen and entry.entry_id in dropped
        picks = _picks(lane, entry.entry_id)
        shown = tuple(f"{pick.target} {pick.metric}: {pick.choice.value}" for pick in picks[:SHOWN_PICKS])
        prefix = "left out; " if left_out else ""
        more = max(0, len(picks) - SHOWN_PICKS)
        rows.append(EntryRow(player_of(lane, entry.entry_id), f"{prefix}{words or 'ticket unpaid'}", shown, more))
    return tuple(rows)


def _once_in_an_attempt(lane: Lane) -> frozenset[str]:
    return frozenset(entry_id for opened in lane.facts.all(SessionOpen) for entry_id in opened.roster)


def _entry_state(lane: Lane, entry: Entry, *, in_contract: bool) -> str | None:
    invoice = lane.facts.get(Invoice, entry.ticket_hash)
    if invoice is None or (invoice.accepted_at is None and not in_contract):
        return None
    if owed := sum(debt.amount for debt in debts.of_entry(lane, entry.entry_id)):
        return f"ticket settled; {sats(owed)} owed by the coordinator"
    words = {
        HoldState.OPEN: "ticket unpaid",
        HoldState.ACCEPTED: "ticket held",
        HoldState.SETTLED: "ticket settled",
        HoldState.CANCELED: "ticket given back",
    }
    return words[invoice.state]


def _picks(lane: Lane, entry_id: str) -> tuple[Pick, ...]:
    seals = [seal for seal in lane.facts.all(Seal) if seal.entry_id == entry_id]
    last = max(seals, key=lambda seal: seal.attempt, default=None)
    return () if last is None else _PICKS.decode(last.picks)


def awaited(state: Competition, lane: Lane) -> tuple[Awaited, ...]:
    """Who the competition waits for, in the words of the page."""
    return tuple(
        Awaited(
            who=PARTIES[one.party],
            player=None if one.entry_id is None else player_of(lane, one.entry_id),
            what=one.what,
            until=_moment(one.until, lane),
            height=f"block {one.until.at:,}" if one.until is not None and one.until.clock is Clock.HEIGHT else "",
        )
        for one in missing(state, lane)
    )


def _moment(until: Until | None, lane: Lane) -> Moment | None:
    if until is None or until.clock is Clock.HEIGHT:
        return None
    return moment(UnixTime(until.at), lane.world.wall if until.clock is Clock.WALL else lane.world.now)


def returned(lane: Lane) -> str | None:
    """Of a competition without a contract: how many tickets were given back, are on their way, are owed."""
    held = [invoice.state for invoice in lane.facts.all(Invoice) if invoice.accepted_at is not None]
    counts = (
        ("given back", held.count(HoldState.CANCELED)),
        ("still to be given back", held.count(HoldState.ACCEPTED)),
        ("settled before and owed by the coordinator", held.count(HoldState.SETTLED)),
    )
    parts = [f"{count} {words}" for words, count in counts if count]
    owed = debts.total(lane)
    sum_owed = f" {sats(owed)} are owed for them." if owed else ""
    return f"Tickets: {', '.join(parts)}.{sum_owed}" if parts else "No ticket was paid."
