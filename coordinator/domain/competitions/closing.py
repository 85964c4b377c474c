"""The closing: windows, who is dropped, and whether another attempt may start."""

from __future__ import annotations

from collections import defaultdict

from coordinator.domain.facts import (
    Approval,
    ApprovalSpent,
    AttemptFault,
    Batch,
    BatchesOpen,
    BatchHung,
    BatchSigned,
    Built,
    CoinsReleased,
    EntriesPosted,
    Forwarded,
    HoldsRead,
    Outage,
    Pinned,
    Ready,
    Registered,
    Seal,
    SessionOpen,
    SpareOpen,
)
from coordinator.domain.lane import Lane
from coordinator_core.competition.closing import is_left_out, max_signing_sessions, was_late, window_end
from coordinator_core.competition.observation import ATTEMPTS
from coordinator_core.competition.schedule import end_of_closing, may_start_attempt
from coordinator_core.units import Seconds, UnixTime


def may_start(lane: Lane, attempt: int, players: int) -> str | None:
    """None when an attempt may start with so many players, else the reason why not."""
    if attempt > ATTEMPTS:
        return f"{ATTEMPTS} attempts are used up"
    if players < lane.terms.entries.minimum:
        return f"{players} players are left, {lane.terms.entries.minimum} are needed"
    if not may_start_attempt(lane.terms, lane.world.tip):
        return "fewer than 6 blocks are left before the funding deadline"
    return None


def sealing_deadline(lane: Lane, attempt: int) -> UnixTime | None:
    """Wall time at which the sealing window ends; None before the session is open."""
    opened = lane.facts.get(SessionOpen, attempt)
    return None if opened is None else _ends(lane, opened.opened_at, lane.terms.schedule.closing.sealing)


def approval_deadline(lane: Lane, attempt: int) -> UnixTime | None:
    """Wall time at which the newest approval window ends."""
    opened = approvals_opened(lane, attempt)
    return None if opened is None else _ends(lane, opened, lane.terms.schedule.closing.approvals)


def approvals_opened(lane: Lane, attempt: int) -> UnixTime | None:
    """Wall time at which the newest approval window opened: a spare session opens one of its own."""
    opened = lane.facts.get(BatchesOpen, attempt)
    if opened is None:
        return None
    spares = (spare.opened_at for spare in lane.facts.of_attempt(SpareOpen, attempt))
    return UnixTime(max([opened.opened_at, *spares]))


def _ends(lane: Lane, start: UnixTime, length: Seconds) -> UnixTime:
    """The end of a window; time in which coordinator, gateway, oracle or node was down does not count."""
    return window_end(start, length, outages(lane))


def outages(lane: Lane) -> list[tuple[UnixTime, UnixTime]]:
    """When coordinator, gateway, oracle or node was down (wall clock)."""
    return [(outage.since, outage.until) for outage in lane.facts.all(Outage)]


def end(lane: Lane) -> UnixTime:
    """The end of the whole closing by the domain clock. Outages are dated by the wall clock: where the two are apart,
    in development, they move it by nothing.
    """
    schedule = lane.terms.schedule
    return _ends(lane, schedule.entries_close, Seconds(end_of_closing(schedule) - schedule.entries_close))


def open_batches(lane: Lane, attempt: int) -> tuple[Batch, ...]:
    """The session in force for each batch index: the batch itself, or the newest spare that replaces it."""
    opened = lane.facts.get(BatchesOpen, attempt)
    if opened is None:
        return ()
    current = {batch.index: batch for batch in opened.batches}
    for spare in sorted(lane.facts.of_attempt(SpareOpen, attempt), key=lambda fact: fact.opened_at):
        current[spare.batch.index] = spare.batch
    return tuple(current[index] for index in sorted(current))


def hung(lane: Lane, attempt: int) -> tuple[Batch, ...]:
    """Batches in force that failed and have no signatures: each needs a spare."""
    done = {fact.index for fact in lane.facts.of_attempt(BatchSigned, attempt)}
    failed = {fact.session_id for fact in lane.facts.of_attempt(BatchHung, attempt)}
    return tuple(b for b in open_batches(lane, attempt) if b.session_id in failed and b.index not in done)


def spares_allowed(batches: int) -> int:
    """Signing sessions of the quota beyond the batches themselves."""
    return max_signing_sessions(batches) - batches


def sealed(lane: Lane, attempt: int) -> frozenset[str]:
    """Players whose registration keymeld took."""
    return frozenset(f.entry_id for f in lane.facts.of_attempt(Registered, attempt) if f.refusal is None)


def absent_at_sealing(lane: Lane, attempt: int, roster: tuple[str, ...]) -> frozenset[str]:
    """Players who have not sealed; a key that keymeld refused is the player's fault and counts as absent."""
    handed_in = {f.entry_id for f in lane.facts.of_attempt(Seal, attempt)}
    refused = {f.entry_id for f in lane.facts.of_attempt(Registered, attempt) if f.refusal is not None}
    return frozenset(e for e in roster if e not in handed_in or e in refused)


def ready_players(lane: Lane, attempt: int) -> frozenset[str]:
    """Players who said `ready` for exactly the sessions in force, or approved all of them without a word: the others
    must not wait for it to be asked.
    """
    current = tuple(sorted(batch.session_id for batch in open_batches(lane, attempt)))
    said = {f.entry_id for f in lane.facts.of_attempt(Ready, attempt) if tuple(sorted(f.sessions)) == current}
    return frozenset(said) | approvers(lane, attempt)


def approvers(lane: Lane, attempt: int) -> frozenset[str]:
    """Players who handed over their approval of every session in force: handed over valid in time = approved."""
    given: defaultdict[str, set[str]] = defaultdict(set)
    for fact in (*lane.facts.of_attempt(Approval, attempt), *lane.facts.of_attempt(Forwarded, attempt)):
        given[fact.entry_id].add(fact.session_id)
    current = {batch.session_id for batch in open_batches(lane, attempt)}
    return frozenset(e for e, sessions in given.items() if current <= sessions) - forfeiters(lane, attempt)


def forfeiters(lane: Lane, attempt: int) -> frozenset[str]:
    """Players who forfeited a session in force: they cannot approve it any more."""
    current = {batch.session_id for batch in open_batches(lane, attempt)}
    spent = lane.facts.of_attempt(ApprovalSpent, attempt)
    return frozenset(f.entry_id for f in spent if f.header_used and f.session_id in current)


def forfeited(lane: Lane, attempt: int, session_id: str, entry_id: str) -> bool:
    """True when a player handed over an approval with a header that it had used up: not valid, however often it asks.

    A fresh one would come while the approvals of the others grow too old at the gateway, which costs a spare session.
    """
    spent = lane.facts.of_attempt(ApprovalSpent, attempt)
    return any(f.header_used and f.session_id == session_id and f.entry_id == entry_id for f in spent)


def unspent_approvals(lane: Lane, attempt: int) -> tuple[Approval, ...]:
    """Approvals that can still be handed to the gateway: one that left in vain needs a fresh header."""
    spent = {(f.session_id, f.entry_id, f.timestamp) for f in lane.facts.of_attempt(ApprovalSpent, attempt)}
    given = lane.facts.of_attempt(Approval, attempt)
    return tuple(f for f in given if (f.session_id, f.entry_id, f.timestamp) not in spent)


def absent_at_approval(lane: Lane, attempt: int, roster: tuple[str, ...]) -> frozenset[str]:
    """Players who keep the others waiting: those who are not ready, then those who did not approve every session in
    force. Nobody is asked to approve before all are ready, so who is ready is not absent while others are not.
    """
    silent = frozenset(roster) - approvers(lane, attempt)
    return silent - ready_players(lane, attempt) or silent


def late_players(lane: Lane, before: int) -> frozenset[str]:
    """Players who sealed or were ready after three quarters of a window in an attempt before `before`."""
    late: set[str] = set()
    for attempt in range(1, before):
        late |= _late_in(lane, attempt)
    return frozenset(late)


def _late_in(lane: Lane, attempt: int) -> set[str]:
    late: set[str] = set()
    windows = lane.terms.schedule.closing
    if (session := lane.facts.get(SessionOpen, attempt)) is not None:
        seals = lane.facts.of_attempt(Seal, attempt)
        late |= {f.entry_id for f in seals if _was_late(lane, session.opened_at, windows.sealing, f.at)}
    for ready in lane.facts.of_attempt(Ready, attempt):
        opened = _window_opened(lane, attempt, ready.sessions)
        if opened is not None and _was_late(lane, opened, windows.approvals, ready.at):
            late.add(ready.entry_id)
    return late


def _was_late(lane: Lane, opened: UnixTime, length: Seconds, done: UnixTime) -> bool:
    return was_late(opened, length, done, outages(lane))


def _window_opened(lane: Lane, attempt: int, sessions: tuple[str, ...]) -> UnixTime | None:
    """When the approval window of exactly these sessions opened: a spare among them opened one of its own."""
    batches = lane.facts.get(BatchesOpen, attempt)
    if batches is None:
        return None
    spares = [s.opened_at for s in lane.facts.of_attempt(SpareOpen, attempt) if s.batch.session_id in sessions]
    return max([batches.opened_at, *spares])


def fresh_holds(lane: Lane, attempt: int) -> HoldsRead | None:
    """The re-read of the holds for an attempt, unless it is more than a block old: then it has to be read again."""
    read = lane.facts.get(HoldsRead, attempt)
    return read if read is not None and abs(lane.world.tip - read.at_height) <= 1 else None


def coins_to_release(lane: Lane, before: int = ATTEMPTS + 1) -> tuple[int, ...]:
    """Attempts before `before` that may have reserved coins which were not given back yet."""
    begun = (posted.attempt for posted in lane.facts.all(EntriesPosted))
    return tuple(a for a in sorted(begun) if a < before and lane.facts.get(CoinsReleased, a) is None)


def spent_deep(lane: Lane, attempt: int) -> str | None:
    """The transaction that spends an input of an attempt's funding with required_confirmations: the funding itself, or
    another, after which it can never confirm.
    """
    pin = lane.facts.get(Pinned, attempt)
    for outpoint in pin.inputs if pin is not None else ():
        seen = lane.world.spent.get(outpoint)
        if seen is not None and lane.world.spend_depth(outpoint) >= lane.terms.contract.required_confirmations:
            return seen.txid
    return None


def may_appear(lane: Lane) -> tuple[int, ...]:
    """Attempts whose funding was signed and may still confirm: no coin of theirs is free before one is taken back."""
    return tuple(
        attempt
        for attempt in coins_to_release(lane)
        if lane.facts.get(Built, f"funding/{attempt}") is not None and spent_deep(lane, attempt) is None
    )


def next_roster(lane: Lane, attempt: int, roster: tuple[str, ...], absent: frozenset[str]) -> tuple[str, ...]:
    """Who is in the attempt after `attempt`: present ones; from attempt 3 on without those who were late before."""
    following = attempt + 1
    dropped = set(absent)
    dropped |= {e for e in late_players(lane, following) if is_left_out(following, late_before=True)}
    return tuple(e for e in roster if e not in dropped)


def keymeld_fault(lane: Lane, attempt: int) -> str | None:
    """The reason why keymeld cannot finish this attempt, if there is one."""
    fault = lane.facts.get(AttemptFault, attempt)
    return fault.reason if fault is not None else None
