"""Entries as the protocol library knows them, read again from the signed events that are stored."""

from __future__ import annotations

from uuid import UUID

import msgspec

from coordinator.domain.facts import Entry as EntryFact
from coordinator.domain.facts import Ticket
from coordinator.domain.lane import Lane
from coordinator_core.competition.entries import Entry, verify_entry
from coordinator_core.errors import Misuse
from coordinator_core.nostr.event import Event


def signed_entry(lane: Lane, entry_id: str) -> Entry:
    """The verified entry of a player. Raises Misuse when there is none."""
    fact, ticket = lane.facts.get(EntryFact, entry_id), lane.facts.get(Ticket, entry_id)
    if fact is None or ticket is None:
        raise Misuse(f"entry {entry_id} was never signed")
    return verify_entry(
        msgspec.json.decode(fact.signed_event, type=Event),
        terms_hash=lane.terms.hash,
        entry_id=UUID(entry_id),
        ticket_hash=bytes.fromhex(fact.ticket_hash),
        author=bytes.fromhex(ticket.player),
    )
