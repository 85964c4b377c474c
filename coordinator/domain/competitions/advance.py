"""advance(): the pure function that moves a competition. Run to a fixpoint after every change of its facts.

Each waiting state has a success edge, a deadline edge and an operator edge. Nothing here depends on the order in which
facts arrived.
"""

from __future__ import annotations

from typing import assert_never

from coordinator.domain.competitions import cancelling, closing, debts, settling
from coordinator.domain.competitions.paid_out import ticket_state
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
    Settling,
)
from coordinator.domain.facts import (
    Attested,
    Built,
    ContractSigned,
    Drafted,
    HoldsRead,
    HoldState,
    Invoice,
    Keygen,
    OracleEvent,
    Pinned,
    PlanningChecked,
    Published,
    Queued,
    SessionOpen,
)
from coordinator.domain.lane import Lane
from coordinator.domain.seats import seated, short_holds
from coordinator.domain.typestate import Step
from coordinator_core.competition.schedule import may_broadcast_funding


def advance(state: Competition, lane: Lane) -> Step[Competition] | None:
    """The next step of a competition, or None when it has to wait. Consumes `state` when it returns a step."""
    if isinstance(state, Opening | Closing) and (reason := cancelling.decided(state, lane)) is not None:
        return _cancelled(state, reason)
    match state:
        case Created() | CollectingEntries() | AwaitingEscrow() | EscrowConfirmed():
            return _opening(state, lane)
        case EventCreated() | AwaitingKeygen() | EntriesSubmitted() | AwaitingSigning() | FundingReady():
            return _closing(state, lane)
        case FundingBroadcasted() | FundingConfirmed() | AwaitingAttestation():
            return _on_chain(state, lane)
        case OutcomeBroadcasted() | ExpiryBroadcasted() | DeltaBroadcasted():
            return _settling(state, lane)
        case Returning():
            return _returning(state, lane)
        case Completed() | Cancelled() | Failed():
            return None
        case _:
            assert_never(state)


def _cancelled(state: Opening | Closing, reason: str) -> Step[Competition]:
    match state:
        case Created() | CollectingEntries() | AwaitingEscrow():
            return state.give_up(reason)
        case EscrowConfirmed() | EventCreated() | AwaitingKeygen() | EntriesSubmitted() | AwaitingSigning():
            return state.give_up(reason, "cancelled")
        case FundingReady():
            return state.give_up(reason, "cancelled")
        case _:
            assert_never(state)


def _opening(state: Opening, lane: Lane) -> Step[Competition] | None:
    match state:
        case Created():
            return _created(state, lane)
        case CollectingEntries():
            return _collecting(state, lane)
        case AwaitingEscrow():
            return _awaiting_escrow(state, lane)
        case EscrowConfirmed():
            return _escrow_confirmed(state, lane)
        case _:
            assert_never(state)


def _created(state: Created, lane: Lane) -> Step[Competition] | None:
    if (published := lane.facts.get(Published)) is not None:
        return state.publish(published.terms_hash)
    drafted = lane.facts.get(Drafted)
    if drafted is not None and lane.world.now >= drafted.closes_at:
        return state.give_up("the terms were not final at the closing time")
    return None


def _collecting(state: CollectingEntries, lane: Lane) -> Step[Competition] | None:
    if lane.world.now < lane.terms.schedule.entries_close:
        return None
    roster = seated(lane)
    if len(roster) < lane.terms.entries.minimum:
        return state.give_up(
            f"{len(roster)} of at least {lane.terms.entries.minimum} tickets were paid at the closing time"
        )
    return state.close(roster)


def _awaiting_escrow(state: AwaitingEscrow, lane: Lane) -> Step[Competition] | None:
    read = lane.facts.get(HoldsRead, 0)
    if read is None:
        return state.give_up("the closing ended") if _closing_over(lane) else None
    roster = tuple(e for e in state.roster if e not in read.lost)
    if refusal := closing.may_start(lane, 1, len(roster)):
        return state.give_up(refusal)
    return state.holds_stand(roster)


def _escrow_confirmed(state: EscrowConfirmed, lane: Lane) -> Step[Competition] | None:
    if refusal := closing.may_start(lane, 1, len(state.roster)):
        return state.give_up(refusal, "cancelled")
    if lane.facts.get(PlanningChecked) is not None:
        return state.first_attempt()
    return state.give_up("the oracle could not assess the event in time", "failed") if _closing_over(lane) else None


def _closing(state: Closing, lane: Lane) -> Step[Competition] | None:
    match state:
        case EventCreated():
            return _event_created(state, lane)
        case AwaitingKeygen():
            return _awaiting_keygen(state, lane)
        case EntriesSubmitted():
            return _entries_submitted(state, lane)
        case AwaitingSigning():
            return _awaiting_signing(state, lane)
        case FundingReady():
            return _funding_ready(state, lane)
        case _:
            assert_never(state)


def _event_created(state: EventCreated, lane: Lane) -> Step[Competition] | None:
    event = lane.facts.get(OracleEvent, state.attempt)
    if event is not None:
        return state.event_verified(event)
    return state.give_up("the oracle did not announce the event in time", "failed") if _closing_over(lane) else None


def _awaiting_keygen(state: AwaitingKeygen, lane: Lane) -> Step[Competition] | None:
    if (keygen := lane.facts.get(Keygen, state.attempt)) is not None:
        return state.keys_verified(keygen)
    if reason := closing.keymeld_fault(lane, state.attempt):
        return _retry(state, lane, frozenset(), f"keymeld failed: {reason}")
    deadline = closing.sealing_deadline(lane, state.attempt)
    if deadline is None or lane.world.wall < deadline:
        return state.give_up(_unopened(state, lane), "failed") if _closing_over(lane) else None
    absent = closing.absent_at_sealing(lane, state.attempt, state.roster)
    if absent:
        return _retry(state, lane, absent, f"{len(absent)} players did not seal in time")
    if lane.world.wall >= deadline + lane.terms.schedule.closing.sealing:
        return _retry(state, lane, frozenset(), "keymeld did not finish keygen in time")
    return None


def _unopened(state: AwaitingKeygen, lane: Lane) -> str:
    if lane.facts.get(SessionOpen, state.attempt) is not None:
        return "the closing ended before every key was sealed"
    waited = lane.facts.get(Queued, state.attempt) is not None
    return "no session was open in time: others were before it" if waited else "keymeld did not open a session in time"


def _entries_submitted(state: EntriesSubmitted, lane: Lane) -> Step[Competition] | None:
    if (pin := lane.facts.get(Pinned, state.attempt)) is not None:
        return state.pinned(pin)
    if reason := closing.keymeld_fault(lane, state.attempt):
        return _retry(state, lane, frozenset(), f"keymeld failed: {reason}")
    if _closing_over(lane) or _past_funding_deadline(lane):
        return state.give_up("the kick-off check or the oracle did not allow it in time", "failed")
    return None


def _awaiting_signing(state: AwaitingSigning, lane: Lane) -> Step[Competition] | None:
    if (signed := lane.facts.get(ContractSigned, state.attempt)) is not None:
        return state.contract_signed(signed)
    if reason := closing.keymeld_fault(lane, state.attempt):
        return _retry(state, lane, frozenset(), f"keymeld failed: {reason}")
    deadline = closing.approval_deadline(lane, state.attempt)
    if deadline is None or lane.world.wall < deadline:
        opened = "the closing ended before the contract was signed"
        reason = "keymeld did not open the batches in time" if deadline is None else opened
        return state.give_up(reason, "failed") if _closing_over(lane) else None
    absent = closing.absent_at_approval(lane, state.attempt, state.roster)
    if absent:
        return _retry(state, lane, absent, f"{len(absent)} players did not approve in time")
    if lane.world.wall >= deadline + lane.terms.schedule.closing.approvals:
        return _retry(state, lane, frozenset(), "keymeld did not sign in time")
    return None


def _funding_ready(state: FundingReady, lane: Lane) -> Step[Competition] | None:
    if _past_funding_deadline(lane):
        return state.give_up("the funding deadline passed before the funding could leave", "failed")
    read = closing.fresh_holds(lane, state.attempt)
    if read is None:
        return None
    lost = frozenset(read.lost) | short_holds(lane, state.roster)
    if lost:
        return _retry(state, lane, lost, f"{len(lost)} holds were lost before the funding")
    return state.broadcast(read)


def _retry(
    state: AwaitingKeygen | EntriesSubmitted | AwaitingSigning | FundingReady,
    lane: Lane,
    absent: frozenset[str],
    reason: str,
) -> Step[Competition]:
    roster = closing.next_roster(lane, state.attempt, state.roster, absent)
    refusal = closing.may_start(lane, state.attempt + 1, len(roster))
    if refusal is None and _closing_over(lane):
        refusal = "the closing is over"
    if refusal is not None:
        ends_in = "cancelled" if absent else "failed"
        return state.give_up(f"{reason}; {refusal}", ends_in)
    return state.next_attempt(roster, reason)


def _closing_over(lane: Lane) -> bool:
    """An outage lengthens the closing, but no funding leaves after F: then there is nothing left to wait for."""
    return lane.world.now >= closing.end(lane) or _past_funding_deadline(lane)


def _past_funding_deadline(lane: Lane) -> bool:
    return not may_broadcast_funding(lane.terms, lane.world.tip, lane.world.now)


def _on_chain(state: OnChain, lane: Lane) -> Step[Competition] | None:
    match state:
        case FundingBroadcasted():
            return _funding_broadcasted(state, lane)
        case FundingConfirmed():
            return _funding_confirmed(state, lane)
        case AwaitingAttestation():
            return _awaiting_attestation(state, lane)
        case _:
            assert_never(state)


def _funding_broadcasted(state: FundingBroadcasted, lane: Lane) -> Step[Competition] | None:
    needed = lane.terms.contract.required_confirmations
    if lane.world.confirmations(state.funding_txid) >= needed:
        return state.confirmed(lane.world.confirmed[state.funding_txid])
    if (by_txid := _conflict(state, lane)) is not None:
        return state.conflicted(by_txid)
    if lane.facts.get(Built, f"funding/{state.attempt}") is not None:
        return None
    # Nothing left this process yet: the rules for letting it go still count, however long the process was down.
    if _past_funding_deadline(lane):
        return state.recalled("the funding deadline passed before the funding could leave")
    if lost := short_holds(lane, state.roster):
        return state.recalled(f"{len(lost)} holds were lost before the funding could leave")
    return None


def _conflict(state: FundingBroadcasted | AwaitingAttestation | Settling, lane: Lane) -> str | None:
    """The transaction that spends an input of the funding instead of it, with required_confirmations."""
    by_txid = closing.spent_deep(lane, state.attempt)
    return None if by_txid == state.funding_txid else by_txid


def _funding_confirmed(state: FundingConfirmed, lane: Lane) -> Step[Competition] | None:
    if lane.world.confirmations(state.funding_txid) == 0:
        return state.unconfirmed()
    states = {e: ticket_state(lane, e) for e in state.roster}
    if any(s not in (HoldState.SETTLED, HoldState.CANCELED) for s in states.values()):
        return None
    return state.tickets_settled(tuple(e for e in state.roster if states[e] is HoldState.CANCELED))


def _awaiting_attestation(state: AwaitingAttestation, lane: Lane) -> Step[Competition] | None:
    if (by_txid := _conflict(state, lane)) is not None:
        return state.conflicted(by_txid)
    if (attested := lane.facts.get(Attested)) is not None:
        return state.attested(attested)
    return state.expired() if lane.world.median_time_past > lane.terms.contract.expiry else None


def _settling(state: Settling, lane: Lane) -> Step[Competition] | None:
    if (by_txid := _conflict(state, lane)) is not None:
        return state.conflicted(by_txid)
    if (other := settling.another_outcome(lane, state)) is not None:
        # Prizes of the one were perhaps paid, and the contract pays those of the other: nobody but a person decides.
        raise settling.Equivocated(f"{other} is confirmed, and pays out another outcome than the one we were attested")
    match state:
        case OutcomeBroadcasted() | ExpiryBroadcasted():
            return settling.paying_out(state, lane)
        case DeltaBroadcasted():
            return state.all_settled() if settling.outputs_settled(state, lane) else None
        case _:
            assert_never(state)


def _returning(state: Returning, lane: Lane) -> Step[Competition] | None:
    open_states = (HoldState.OPEN, HoldState.ACCEPTED)
    if any(invoice.state in open_states for invoice in lane.facts.all(Invoice)):
        return None
    if debts.undecided(lane) or debts.unrecorded(lane) or closing.coins_to_release(lane):
        return None
    return state.everything_returned()
