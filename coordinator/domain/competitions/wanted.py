"""wanted(): every duty that a state and its facts call for. Level-triggered: asked again after each change, the store
keeps one row for each id. What has produced its fact is wanted no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import assert_never

from coordinator.domain import duties as d
from coordinator.domain.competitions import attendance, bumping, closing, debts, settling, unconfirmed
from coordinator.domain.competitions.notices import notices
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
    BatchesOpen,
    BatchSigned,
    ContractSigned,
    EntriesPosted,
    Entry,
    Forwarded,
    HoldsRead,
    HoldState,
    Invoice,
    Keygen,
    OracleEvent,
    Payout,
    Pinned,
    PlanningChecked,
    PrizeState,
    Published,
    Registered,
    Seal,
    SessionOpen,
    Ticket,
)
from coordinator.domain.lane import Lane
from coordinator.domain.seats import surplus
from coordinator_core.competition.observation import ATTEMPTS


def wanted(state: Competition, lane: Lane) -> tuple[d.Duty, ...]:
    """All duties of a competition as it stands."""
    of_state = tuple(_of_state(state, lane))
    bumps = bumping.duties(state, lane, of_state)
    return (*of_state, *bumps, *_of_invoices(state, lane), *_of_payouts(lane), *_of_people(state, lane))


def _of_state(state: Competition, lane: Lane) -> Iterable[d.Duty]:
    match state:
        case Created() | CollectingEntries() | AwaitingEscrow() | EscrowConfirmed():
            return _opening(state, lane)
        case EventCreated() | AwaitingKeygen() | EntriesSubmitted() | AwaitingSigning() | FundingReady():
            return (*_release(lane, state.attempt), *_closing(state, lane))
        case FundingBroadcasted() | FundingConfirmed() | AwaitingAttestation():
            return _on_chain(state, lane)
        case OutcomeBroadcasted() | ExpiryBroadcasted() | DeltaBroadcasted():
            return _settling(state, lane)
        case Returning():
            return (*_debts(lane), *_taken_back(lane), *_release(lane))
        case Completed() | Cancelled() | Failed():
            return ()
        case _:
            assert_never(state)


def _opening(state: Opening, lane: Lane) -> Iterator[d.Duty]:
    match state:
        case Created():
            if lane.facts.get(Published) is None:
                yield d.PublishTerms()
        case CollectingEntries():
            return
        case AwaitingEscrow():
            if lane.facts.get(HoldsRead, 0) is None:
                yield d.ReadHolds(attempt=0, roster=state.roster)
        case EscrowConfirmed():
            if lane.facts.get(PlanningChecked) is None:
                yield d.CheckPlanning()
        case _:
            assert_never(state)


def _release(lane: Lane, before: int = ATTEMPTS + 1) -> Iterator[d.Duty]:
    held = closing.may_appear(lane)
    for attempt in closing.coins_to_release(lane, before):
        if attempt not in held:
            yield d.ReleaseCoins(attempt=attempt)


def _taken_back(lane: Lane) -> Iterator[d.Duty]:
    """A funding that was signed and given up: whoever has it can no longer use it once a coin of it is spent."""
    for attempt in closing.may_appear(lane):
        signed = lane.facts.get(ContractSigned, attempt)
        contract = "" if signed is None else signed.blob
        yield d.Broadcast(role=f"take-back/{attempt}", attempt=attempt, contract=contract)


def _debts(lane: Lane) -> Iterator[d.Duty]:
    if debts.undecided(lane):
        return
    for invoice in debts.unrecorded(lane):
        yield d.RecordDebt(entry_id=invoice.entry_id, payment_hash=invoice.payment_hash)


def _closing(state: Closing, lane: Lane) -> Iterator[d.Duty]:
    match state:
        case EventCreated():
            if lane.facts.get(OracleEvent, state.attempt) is None:
                yield d.CreateEvent(attempt=state.attempt, entries=len(state.roster))
        case AwaitingKeygen():
            yield from _keygen(state, lane)
        case EntriesSubmitted():
            yield from _entries(state, lane)
        case AwaitingSigning():
            yield from _signing(state, lane)
        case FundingReady():
            if closing.fresh_holds(lane, state.attempt) is None:
                yield d.ReadHolds(attempt=state.attempt, roster=state.roster)
        case _:
            assert_never(state)


def _keygen(state: AwaitingKeygen, lane: Lane) -> Iterator[d.Duty]:
    if lane.facts.get(SessionOpen, state.attempt) is None:
        yield d.OpenSession(attempt=state.attempt, roster=state.roster)
        return
    answered = {f.entry_id for f in lane.facts.of_attempt(Registered, state.attempt)}
    for seal in lane.facts.of_attempt(Seal, state.attempt):
        if seal.entry_id not in answered and seal.entry_id in state.roster:
            yield d.RegisterPlayer(attempt=state.attempt, entry_id=seal.entry_id)
    if closing.sealed(lane, state.attempt) >= set(state.roster) and lane.facts.get(Keygen, state.attempt) is None:
        yield d.AwaitRoster(attempt=state.attempt, roster=state.roster)


def _entries(state: EntriesSubmitted, lane: Lane) -> Iterator[d.Duty]:
    if lane.facts.get(EntriesPosted, state.attempt) is None:
        yield d.SubmitEntries(attempt=state.attempt, event_id=state.event_id, roster=state.roster)
    elif lane.facts.get(Pinned, state.attempt) is None:
        yield d.PinContract(attempt=state.attempt, roster=state.roster, event_id=state.event_id)


def _signing(state: AwaitingSigning, lane: Lane) -> Iterator[d.Duty]:
    attempt = state.attempt
    if lane.facts.get(BatchesOpen, attempt) is None:
        yield d.OpenBatches(attempt=attempt, roster=state.roster)
        return
    for batch in closing.hung(lane, attempt):
        yield d.OpenSpare(attempt=attempt, replaces=batch.session_id, index=batch.index, roster=state.roster)
    if closing.absent_at_approval(lane, attempt, state.roster):
        return
    yield from _approvals(state, lane)
    signed = {f.index for f in lane.facts.of_attempt(BatchSigned, attempt)}
    hung = {batch.session_id for batch in closing.hung(lane, attempt)}
    batches = closing.open_batches(lane, attempt)
    for batch in batches:
        if batch.index not in signed and batch.session_id not in hung:
            yield d.CollectSignatures(
                attempt=attempt, session_id=batch.session_id, index=batch.index, roster=state.roster
            )
    if len(signed) == len(batches) and lane.facts.get(ContractSigned, attempt) is None:
        yield d.AssembleContract(attempt=attempt, roster=state.roster)


def _approvals(state: AwaitingSigning, lane: Lane) -> Iterator[d.Duty]:
    passed_on = {(f.session_id, f.entry_id) for f in lane.facts.of_attempt(Forwarded, state.attempt)}
    current = {batch.session_id for batch in closing.open_batches(lane, state.attempt)}
    for given in closing.unspent_approvals(lane, state.attempt):
        if given.session_id in current and (given.session_id, given.entry_id) not in passed_on:
            yield d.ForwardApproval(
                attempt=state.attempt,
                entry_id=given.entry_id,
                session_id=given.session_id,
                timestamp=given.timestamp,
            )


def _on_chain(state: OnChain, lane: Lane) -> Iterator[d.Duty]:
    match state:
        case FundingBroadcasted():
            yield from unconfirmed.duties(state, lane)
        case FundingConfirmed():
            if lane.world.confirmations(state.funding_txid) >= lane.terms.contract.required_confirmations:
                for entry_id in state.roster:
                    yield from _settle(lane, entry_id)
        case AwaitingAttestation():
            yield from _funding_again(state, lane)
            yield d.PollAttestation(attempt=state.attempt, event_id=state.event_id, entries=len(state.roster))
        case _:
            assert_never(state)


def _funding_again(state: AwaitingAttestation | Settling, lane: Lane) -> Iterator[d.Duty]:
    """A reorg took the funding out of the chain: the same transaction is announced again."""
    if lane.world.confirmations(state.funding_txid) == 0:
        yield d.Broadcast(role="funding", attempt=state.attempt, contract=state.contract)


def _settle(lane: Lane, entry_id: str) -> Iterator[d.Duty]:
    ticket = lane.facts.get(Ticket, entry_id)
    invoice = None if ticket is None else lane.invoice_of(ticket)
    if invoice is not None and invoice.state not in (HoldState.SETTLED, HoldState.CANCELED):
        yield d.SettleInvoice(entry_id=entry_id, payment_hash=invoice.payment_hash)


def _settling(state: Settling, lane: Lane) -> Iterator[d.Duty]:
    yield from _funding_again(state, lane)
    yield from _first_transaction(state, lane)
    match state:
        case OutcomeBroadcasted() | ExpiryBroadcasted():
            yield from _second_transaction(state, lane)
        case DeltaBroadcasted():
            yield from _sweeps(state, lane)
        case _:
            assert_never(state)


def _first_transaction(state: Settling, lane: Lane) -> Iterator[d.Duty]:
    if settling.outcome_unknown(state, lane):
        yield from _poll(state.attempt, lane)
    if settling.funding_spender(lane, state) is not None:
        return
    role = "expiry" if settling.outcome_of(state) is None else "outcome"
    yield d.Broadcast(role=role, attempt=state.attempt, contract=state.contract, outcome=settling.outcome_of(state))


def _poll(attempt: int, lane: Lane) -> Iterator[d.Duty]:
    if (event := lane.facts.get(OracleEvent, attempt)) is not None:
        yield d.PollAttestation(attempt=attempt, event_id=event.event_id, entries=event.entries)


def _second_transaction(state: OutcomeBroadcasted | ExpiryBroadcasted, lane: Lane) -> Iterator[d.Duty]:
    txid = settling.outcome_txid(lane, state)
    if txid is None or f"{txid}:0" in lane.world.spent or settling.outcome_unknown(state, lane):
        return
    roles = {
        "close": settling.closable(lane, state),
        "reclaim": settling.reclaim_due(lane, state),
        "split": settling.split_due(lane, state),
    }
    for role, due in roles.items():
        if due:
            yield d.Broadcast(
                role=role,
                attempt=state.attempt,
                contract=state.contract,
                outcome=settling.outcome_of(state),
                parent=txid,
            )
            return


def _sweeps(state: DeltaBroadcasted, lane: Lane) -> Iterator[d.Duty]:
    if state.split_txid not in lane.world.confirmed:
        yield d.Broadcast(role="split", attempt=state.attempt, contract=state.contract, outcome=state.outcome)
    for prize in settling.prizes(lane, state):
        how = settling.share_sweep(lane, state, prize)
        if how is not None and not settling.uneconomic(lane, prize.share.entry_id):
            yield d.Broadcast(
                role=f"sweep:{how}:{prize.share.entry_id}",
                attempt=state.attempt,
                contract=state.contract,
                outcome=state.outcome,
                entry_id=prize.share.entry_id,
                parent=state.split_txid,
            )


def _of_invoices(state: Competition, lane: Lane) -> Iterator[d.Duty]:
    selling = isinstance(state, CollectingEntries)
    for ticket in lane.facts.all(Ticket):
        entry = lane.facts.get(Entry, ticket.entry_id)
        signed = entry is not None and entry.ticket_hash == ticket.ticket_hash
        if selling and signed and lane.invoice_of(ticket) is None:
            yield d.CreateInvoice(
                entry_id=ticket.entry_id, generation=ticket.generation, payment_hash=ticket.ticket_hash
            )
    for invoice in lane.facts.all(Invoice):
        if invoice.state in (HoldState.OPEN, HoldState.ACCEPTED):
            yield d.WatchInvoice(payment_hash=invoice.payment_hash)
    for invoice in _to_cancel(state, lane):
        yield d.CancelInvoice(payment_hash=invoice.payment_hash)


def _to_cancel(state: Competition, lane: Lane) -> Iterator[Invoice]:
    """Holds that no contract can need any more. After the funding left, none of its roster is canceled here."""
    live = [i for i in lane.facts.all(Invoice) if i.state in (HoldState.OPEN, HoldState.ACCEPTED)]
    if isinstance(state, Created):
        return
    if isinstance(state, CollectingEntries):
        extra = {invoice.payment_hash for invoice in surplus(lane)}
        yield from (invoice for invoice in live if invoice.payment_hash in extra)
        return
    keep: frozenset[str] = frozenset(getattr(state, "roster", ()))
    for invoice in live:
        ticket = lane.facts.get(Ticket, invoice.entry_id)
        current = ticket is not None and ticket.ticket_hash == invoice.payment_hash
        if not (current and invoice.entry_id in keep):
            yield invoice


def _of_people(state: Competition, lane: Lane) -> Iterator[d.Duty]:
    for missed in attendance.unrecorded(lane):
        yield d.RecordAbsence(attempt=missed.attempt, player=missed.player, at=missed.at)
    yield from notices(state, lane)


def _of_payouts(lane: Lane) -> Iterator[d.Duty]:
    for payout in lane.facts.all(Payout):
        if payout.state in (PrizeState.PAYING, PrizeState.UNKNOWN):
            yield d.PayPrize(entry_id=payout.entry_id, payment_hash=payout.payment_hash, cltv_limit=0)
