"""missing(): who is awaited, what for, and until when. The one source of what pages and operators read, of the
reminders that players get, and of the auditor, which asks whether a competition has a reason to be idle.

In phases: a later one is named only when the earlier ones are complete, so nobody is asked before its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from coordinator.domain.competitions import bumping, closing, debts, paying, unconfirmed
from coordinator.domain.competitions.awaited import Awaited, Clock, Party, Phase, Until
from coordinator.domain.competitions.states import (
    AwaitingAttestation,
    AwaitingEscrow,
    AwaitingKeygen,
    AwaitingSigning,
    Cancelled,
    Closing,
    CollectingEntries,
    Competition,
    Completed,
    Created,
    DeltaBroadcasted,
    EntriesSubmitted,
    EscrowConfirmed,
    EventCreated,
    ExpiryBroadcasted,
    Failed,
    FundingBroadcasted,
    FundingConfirmed,
    FundingReady,
    OnChain,
    Opening,
    OutcomeBroadcasted,
    Returning,
)
from coordinator.domain.facts import (
    BatchSigned,
    Built,
    Drafted,
    EntriesPosted,
    HoldsDecided,
    HoldState,
    Invoice,
    Queued,
    Ready,
    Seal,
    SessionOpen,
)
from coordinator.domain.lane import Lane
from coordinator.domain.protection import moves_while_stopped
from coordinator.domain.seats import seated
from coordinator_core.units import UnixTime


def missing(state: Competition, lane: Lane) -> tuple[Awaited, ...]:
    """Everything that is awaited now: nothing of a competition that is over, something of every other one."""
    if isinstance(state, Completed | Cancelled | Failed):
        return ()
    person = (Awaited(Phase.LOOK, Party.OPERATOR, None),) if lane.stopped or bumping.lacks_coins(lane) else ()
    if lane.stopped and not moves_while_stopped(state):
        return person
    return (*person, *_of_state(state, lane))


def _of_state(state: Opening | Closing | OnChain | paying.Settled | Returning, lane: Lane) -> Iterable[Awaited]:
    match state:
        case Created() | CollectingEntries() | AwaitingEscrow() | EscrowConfirmed():
            return _opening(state, lane)
        case EventCreated() | AwaitingKeygen() | EntriesSubmitted() | AwaitingSigning() | FundingReady():
            return _closing(state, lane)
        case FundingBroadcasted() | FundingConfirmed() | AwaitingAttestation():
            return _on_chain(state, lane)
        case OutcomeBroadcasted() | ExpiryBroadcasted() | DeltaBroadcasted():
            return paying.awaited(state, lane)
        case Returning():
            return _returning(lane)
        case _:
            assert_never(state)


def _opening(state: Opening, lane: Lane) -> Iterator[Awaited]:
    match state:
        case Created():
            drafted = lane.facts.get(Drafted)
            until = None if drafted is None else Until(Clock.DOMAIN, drafted.closes_at)
            yield Awaited(Phase.FIX_TERMS, Party.ORACLE, until)
        case CollectingEntries():
            full = len(seated(lane)) >= lane.terms.entries.maximum
            until = Until(Clock.DOMAIN, lane.terms.schedule.entries_close)
            yield Awaited(Phase.COME_BACK if full else Phase.TAKE_SEATS, Party.PLAYER, until)
        case AwaitingEscrow():
            yield Awaited(Phase.READ_HOLDS, Party.LIGHTNING, _end(lane))
        case EscrowConfirmed():
            yield Awaited(Phase.CHECK_PLANNING, Party.ORACLE, _end(lane))
        case _:
            assert_never(state)


def _closing(state: Closing, lane: Lane) -> Iterator[Awaited]:
    match state:
        case EventCreated():
            yield Awaited(Phase.CREATE_EVENT, Party.ORACLE, _end(lane))
        case AwaitingKeygen():
            yield from _keygen(state, lane)
        case EntriesSubmitted():
            posted = lane.facts.get(EntriesPosted, state.attempt) is not None
            late = Party.COORDINATOR if posted else Party.ORACLE
            yield Awaited(Phase.PIN_CONTRACT if posted else Phase.SUBMIT_ENTRIES, late, _end(lane))
        case AwaitingSigning():
            yield from _signing(state, lane)
        case FundingReady():
            until = Until(Clock.HEIGHT, lane.terms.schedule.funding_deadline)
            yield Awaited(Phase.READ_HOLDS, Party.LIGHTNING, until)
        case _:
            assert_never(state)


def _keygen(state: AwaitingKeygen, lane: Lane) -> Iterator[Awaited]:
    opened, ends = lane.facts.get(SessionOpen, state.attempt), closing.sealing_deadline(lane, state.attempt)
    if opened is None or ends is None:
        if lane.facts.get(Queued, state.attempt) is not None:
            yield Awaited(Phase.TAKE_TURN, Party.COORDINATOR, _end(lane))
            return
        yield Awaited(Phase.OPEN_SESSION, Party.KEYMELD, _end(lane))
        return
    absent = closing.absent_at_sealing(lane, state.attempt, state.roster)
    # Whose key keymeld refused cannot seal another one in this attempt: nothing is asked of it.
    handed_in = {seal.entry_id for seal in lane.facts.of_attempt(Seal, state.attempt)}
    if absent:
        yield from _players(Phase.SEAL, absent - handed_in, ends, opened.opened_at)
        return
    grace = lane.terms.schedule.closing.sealing
    yield Awaited(Phase.FINISH_KEYGEN, Party.KEYMELD, Until(Clock.WALL, ends + grace))


def _signing(state: AwaitingSigning, lane: Lane) -> Iterator[Awaited]:
    opened, ends = closing.approvals_opened(lane, state.attempt), closing.approval_deadline(lane, state.attempt)
    if opened is None or ends is None:
        yield Awaited(Phase.OPEN_BATCHES, Party.KEYMELD, _end(lane))
        return
    if closing.hung(lane, state.attempt):
        yield Awaited(Phase.OPEN_SPARE, Party.KEYMELD, Until(Clock.WALL, ends))
        return
    if absent := closing.absent_at_approval(lane, state.attempt, state.roster):
        yield from _approvals(state.attempt, lane, absent, opened, ends)
        return
    until = Until(Clock.WALL, ends + lane.terms.schedule.closing.approvals)
    signed = len(lane.facts.of_attempt(BatchSigned, state.attempt))
    done = signed == len(closing.open_batches(lane, state.attempt))
    yield Awaited(Phase.ASSEMBLE if done else Phase.SIGN, Party.COORDINATOR if done else Party.KEYMELD, until)


def _approvals(attempt: int, lane: Lane, absent: frozenset[str], opened: UnixTime, ends: UnixTime) -> Iterator[Awaited]:
    """Nobody can approve before everyone is ready: until then only those are awaited who are not."""
    if unready := absent - closing.ready_players(lane, attempt):
        yield from _players(Phase.COMPARE, unready, ends, opened)
        return
    all_ready = max((fact.at for fact in lane.facts.of_attempt(Ready, attempt)), default=opened)
    able = absent - closing.forfeiters(lane, attempt)
    yield from _players(Phase.APPROVE, able, ends, UnixTime(max(opened, all_ready)))


def _players(phase: Phase, entries: frozenset[str], ends: UnixTime, since: UnixTime) -> Iterator[Awaited]:
    """Players by entry id; where none of those who are absent can do anything, the end of the window is awaited."""
    until = Until(Clock.WALL, ends)
    for entry_id in sorted(entries):
        yield Awaited(phase, Party.PLAYER, until, entry_id, since)
    if not entries:
        yield Awaited(Phase.NEXT_ATTEMPT, Party.COORDINATOR, until)


def _on_chain(state: OnChain, lane: Lane) -> Iterator[Awaited]:
    match state:
        case FundingBroadcasted():
            yield from _funding(state, lane)
        case FundingConfirmed():
            if lane.world.confirmations(state.funding_txid) < lane.terms.contract.required_confirmations:
                yield Awaited(Phase.CONFIRM_FUNDING, Party.CHAIN, _holds_end(lane))
            else:
                yield Awaited(Phase.SETTLE_TICKETS, Party.LIGHTNING, _holds_end(lane))
        case AwaitingAttestation():
            until = Until(Clock.MEDIAN, lane.terms.contract.expiry + 1)
            if lane.world.confirmations(state.funding_txid) == 0:
                yield Awaited(Phase.CONFIRM_FUNDING, Party.CHAIN, until)
            yield Awaited(Phase.ATTEST, Party.ORACLE, until)
        case _:
            assert_never(state)


def _funding(state: FundingBroadcasted, lane: Lane) -> Iterator[Awaited]:
    decided, awaited = lane.facts.get(HoldsDecided, state.attempt), unconfirmed.awaits_funding(state, lane)
    if decided is not None and _held(lane):
        yield Awaited(Phase.SETTLE_TICKETS if decided.settle else Phase.GIVE_BACK, Party.LIGHTNING, _holds_end(lane))
    elif decided is not None:
        yield Awaited(Phase.CONFIRM_FUNDING if awaited else Phase.CONFIRM_RETURN, Party.CHAIN, None)
    elif lane.facts.get(Built, f"funding/{state.attempt}") is None:
        until = Until(Clock.HEIGHT, lane.terms.schedule.funding_deadline)
        yield Awaited(Phase.SEND_FUNDING, Party.COORDINATOR, until)
    else:
        decision = lane.world.tip + unconfirmed.blocks_to_decision(state, lane)
        yield Awaited(Phase.CONFIRM_FUNDING, Party.CHAIN, Until(Clock.HEIGHT, decision))


def _returning(lane: Lane) -> Iterator[Awaited]:
    open_invoices = [i for i in lane.facts.all(Invoice) if i.state is HoldState.OPEN]
    if _held(lane):
        yield Awaited(Phase.GIVE_BACK, Party.LIGHTNING, _holds_end(lane))
    elif open_invoices:
        until = Until(Clock.WALL, max(invoice.expires_at for invoice in open_invoices))
        yield Awaited(Phase.GIVE_BACK, Party.LIGHTNING, until)
    elif debts.undecided(lane):
        yield Awaited(Phase.PAY_PRIZE, Party.LIGHTNING, None)
    elif debts.unrecorded(lane):
        yield Awaited(Phase.RECORD_DEBTS, Party.COORDINATOR, None)
    elif closing.may_appear(lane):
        yield Awaited(Phase.CONFIRM_RETURN, Party.CHAIN, None)
    else:
        yield Awaited(Phase.RELEASE_COINS, Party.COORDINATOR, None)


def _held(lane: Lane) -> list[Invoice]:
    return [invoice for invoice in lane.facts.all(Invoice) if invoice.state is HoldState.ACCEPTED]


def _holds_end(lane: Lane) -> Until | None:
    """When Lightning itself gives the first of the held tickets back."""
    ends = [invoice.expiry_height for invoice in _held(lane) if invoice.expiry_height is not None]
    return Until(Clock.HEIGHT, min(ends) - lane.world.cancel_delta) if ends else None


def _end(lane: Lane) -> Until:
    return Until(Clock.DOMAIN, closing.end(lane))
