"""A competition as everyone may see it."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from coordinator.domain.competitions import bumping
from coordinator.domain.competitions.missing import missing
from coordinator.domain.competitions.states import CollectingEntries, Competition
from coordinator.domain.facts import Attested, BumpKind, Drafted, Pinned, Seal, Sent, Ticket
from coordinator.domain.facts import Entry as EntryFact
from coordinator.domain.lane import Lane
from coordinator.engine.new_money import NewMoney, Pause
from coordinator.views.rosters import roster_of

STEPS = {
    "created": 1,
    "collecting_entries": 1,
    "awaiting_escrow": 2,
    "escrow_confirmed": 2,
    "event_created": 2,
    "awaiting_keygen": 2,
    "entries_submitted": 3,
    "awaiting_signing": 3,
    "funding_ready": 4,
    "funding_broadcasted": 4,
    "funding_confirmed": 4,
    "awaiting_attestation": 5,
    "outcome_broadcasted": 6,
    "expiry_broadcasted": 6,
    "delta_broadcasted": 6,
    "completed": 7,
}


def tag(state: Competition) -> str:
    """The stored name of a state."""
    return str(state.__struct_config__.tag)


def players(state: Competition, lane: Lane) -> tuple[str, ...]:
    """Who plays: the roster once it is frozen, before that who holds a seat."""
    return () if lane.published is None else roster_of(state, lane)


def summary(state: Competition, lane: Lane) -> dict[str, object]:
    """One line of the list."""
    terms = lane.published
    drafted = lane.facts.get(Drafted)
    return {
        "id": lane.id,
        "title": terms.title if terms is not None else "being prepared",
        "state": tag(state),
        "step": STEPS.get(tag(state)),
        "players": len(players(state, lane)),
        "minimum": terms.entries.minimum if terms is not None else None,
        "maximum": terms.entries.maximum if terms is not None else None,
        "entry_fee": terms.money.entry_fee if terms is not None else None,
        "closes_at": drafted.closes_at if drafted is not None else None,
    }


def detail(state: Competition, lane: Lane, money: NewMoney) -> dict[str, object]:
    """Everything public of one competition."""
    attested = lane.facts.get(Attested)
    return {
        **summary(state, lane),
        "reason": getattr(state, "reason", None),
        "terms_hash": lane.terms.hash.hex() if lane.published is not None else None,
        "attempt": getattr(state, "attempt", None),
        "waiting_for": waiting_for(state, lane),
        "paused": msgspec.to_builtins(pauses(state, lane, money)),
        "transactions": transactions(state, lane),
        "outcome": attested.outcome if attested is not None else None,
        "tip": lane.world.tip,
        "now": lane.world.now,
    }


def pauses(state: Competition, lane: Lane, money: NewMoney) -> tuple[Pause, ...]:
    """Why no ticket is sold now although entries are open."""
    return money.pauses(lane.terms) if isinstance(state, CollectingEntries) else ()


def waiting_for(state: Competition, lane: Lane) -> list[dict[str, object]]:
    """Who is awaited, what for, and until when by which clock."""
    return [
        {
            "who": one.party.value,
            "entry_id": one.entry_id,
            "phase": one.phase.value,
            "what": one.what,
            "until": None if one.until is None else one.until.at,
            "clock": None if one.until is None else one.until.clock.value,
        }
        for one in missing(state, lane)
    ]


def transactions(state: Competition, lane: Lane) -> list[dict[str, object]]:
    """Every transaction of ours, with its height once it is in the chain."""
    ours = [*((sent.role, _standing(lane, sent)) for sent in lane.facts.all(Sent)), *_children(lane)]
    listed = [{"role": role, "txid": txid, "height": lane.world.confirmed.get(txid)} for role, txid in ours]
    known = {item["txid"] for item in listed}
    for outpoint, spend in lane.world.spent.items():
        if spend.txid not in known and not _is_wallet_input(lane, outpoint):
            listed.append({"role": f"spends {outpoint}", "txid": spend.txid, "height": spend.height})
    return sorted(listed, key=lambda item: (item["height"] is None, item["height"] or 0))


def _standing(lane: Lane, sent: Sent) -> str:
    """The txid under which a transaction confirmed or waits now: a fee bump may have signed it again."""
    again = [b for b in bumping.standing(lane) if b.role == sent.role and b.bump is BumpKind.REPLACEMENT]
    return again[-1].txid if again and sent.txid not in lane.world.confirmed else sent.txid


def _children(lane: Lane) -> Iterator[tuple[str, str]]:
    """Children that pay for another transaction: in the chain, or still awaited with it."""
    for bump in bumping.standing(lane):
        awaited = bump.txid in lane.world.confirmed or bump.spends not in lane.world.spent
        if bump.bump is BumpKind.CHILD and awaited:
            yield f"bump:{bump.role}", bump.txid


def _is_wallet_input(lane: Lane, outpoint: str) -> bool:
    return any(outpoint in pin.inputs for pin in lane.facts.all(Pinned))


def entries(lane: Lane) -> list[dict[str, object]]:
    """Every signed entry; picks once they were opened."""
    listed: list[dict[str, object]] = []
    for entry in lane.facts.all(EntryFact):
        ticket = lane.facts.get(Ticket, entry.entry_id)
        seals = [seal for seal in lane.facts.all(Seal) if seal.entry_id == entry.entry_id]
        last = max(seals, key=lambda seal: seal.attempt, default=None)
        opened = None
        if last is not None:
            opened = {"attempt": last.attempt, "salt": last.salt, "picks": msgspec.json.decode(last.picks)}
        listed.append(
            {
                "entry_id": entry.entry_id,
                "player": ticket.player if ticket is not None else None,
                "event": msgspec.json.decode(entry.signed_event),
                "opened": opened,
            }
        )
    return listed
