"""What no trace may show, and what must be true at the end. Amounts in satoshi."""

from __future__ import annotations

from collections import Counter

from coordinator.domain import duties as d
from coordinator.domain import facts as f
from coordinator.domain.competitions import settling
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.facts import HoldState, PrizeState
from tests.support.small_world.chain_effects import funding_key
from tests.support.small_world.lightning_effects import SETTLED
from tests.support.small_world.played import Edge, Played

FUNDED = s.FundingConfirmed | s.AwaitingAttestation | SETTLED


def judge(played: Played, edges: frozenset[Edge]) -> None:
    """After every step of a trace."""
    _transitions(played, edges)
    _tickets(played)
    _payments(played)
    _liveness(played)


def _transitions(played: Played, edges: frozenset[Edge]) -> None:
    unknown = set(played.edges) - edges
    assert not unknown, f"not in the table: {unknown}"


def _tickets(played: Played) -> None:
    """No preimage is asked for before the funding is deep enough; no hold of a funded contract is given back."""
    state, lane = played.state, played.lane
    duties = wanted(state, lane)
    settles = [duty for duty in duties if isinstance(duty, d.SettleInvoice)]
    if settles:
        deep = depth(played, getattr(state, "funding_txid", "")) >= played.world.required
        decided = lane.facts.get(f.HoldsDecided, getattr(state, "attempt", 0))
        early = isinstance(state, s.FundingBroadcasted) and decided is not None and decided.settle
        assert deep or early, f"{type(state).__name__} asks for a preimage too early"
    cancels = {duty.payment_hash for duty in duties if isinstance(duty, d.CancelInvoice)}
    assert not cancels & {duty.payment_hash for duty in settles}
    if isinstance(state, FUNDED):
        tickets = (lane.facts.get(f.Ticket, entry_id) for entry_id in state.roster)
        kept = {ticket.ticket_hash for ticket in tickets if ticket is not None}
        assert not cancels & kept, "a hold of a funded contract is to be given back"


def depth(played: Played, txid: str) -> int:
    height = played.world.seen.confirmed.get(txid)
    return 0 if height is None else played.world.seen.tip - height + 1


def _payments(played: Played) -> None:
    """Nobody is paid twice over Lightning, and nobody another sum than its prize."""
    paid = Counter(entry_id for entry_id, _ in played.world.lightning.paid)
    assert all(count == 1 for count in paid.values()), f"paid twice: {paid}"
    live = Counter(p.entry_id for p in played.world.lightning.payments.values() if p.state.name == "IN_FLIGHT")
    assert all(count == 1 and entry_id not in paid for entry_id, count in live.items()), f"two at once: {live}"


def _liveness(played: Played) -> None:
    """An open competition has a duty or a moment to look again; an ended one has no step."""
    if played.ended or played.stopped:
        return
    again = played.again_at()
    waits = any(moment is not None for moment in (again.wall, again.domain, again.height))
    assert waits or any(row.open for row in played.rows.values()), f"{type(played.state).__name__} waits for nothing"


def judge_end(played: Played) -> None:
    """Once it is over: every hold ended, no coin reserved, the books add up."""
    assert played.ended, f"still {type(played.state).__name__} after {played.edges[-5:]}"
    live = [h for h in played.world.lightning.holds.values() if h.state in (HoldState.OPEN, HoldState.ACCEPTED)]
    assert not live, "a ticket is still held"
    _reservations(played)
    if isinstance(played.state, s.Completed):
        _completed(played)
    else:
        _returned(played)


def _reservations(played: Played) -> None:
    spent = isinstance(played.state, s.Completed)
    sent = {attempt for attempt in played.world.reserved if spent and funding_key(attempt) in played.world.raw}
    assert played.world.reserved == sent, f"coins of attempts {played.world.reserved - sent} stay reserved"


def settled(played: Played) -> dict[str, int]:
    """Value of every ticket that was settled, by payment hash."""
    holds = played.world.lightning.holds
    return {h: hold.value for h, hold in holds.items() if hold.state is HoldState.SETTLED}


def _returned(played: Played) -> None:
    """Without a contract every ticket is back, or owed in full, once; a prize that was paid counts towards it."""
    paid = dict(played.world.lightning.paid)
    owner = {i.payment_hash: i.entry_id for i in played.facts.all(f.Invoice)}
    owed = {debt.payment_hash: debt.amount for debt in played.facts.all(f.Owed)}
    due = {h: value - paid.get(owner[h], 0) for h, value in settled(played).items()}
    assert owed == {h: rest for h, rest in due.items() if rest > 0}
    if not played.world.deep:
        assert not paid


def _completed(played: Played) -> None:
    state = played.state
    assert isinstance(state, s.Completed)
    last = played.last_settling
    assert last is not None
    if played.world.deep:
        return
    prizes = settling.prizes(played.lane, last)
    assert all(prize.state in settling.FINAL for prize in prizes)
    pool = 50_000 * len(last.roster)
    assert sum(prize.share.gross for prize in prizes) == pool
    paid = Counter(dict(played.world.lightning.paid))
    swept = 0
    for prize in prizes:
        taker = _taker(played, last, prize)
        _one_end(played, prize, taker, paid[prize.share.entry_id])
        swept += prize.share.gross if taker in ("coordinator", "dust") else 0
    owes = sum(prize.share.net for prize in prizes if prize.state is PrizeState.OWED)
    lost = 50_000 * len(last.written_off)
    net = sum(settled(played).values()) + swept - pool - sum(paid.values()) - owes
    slept = sum(p.share.gross for p in prizes if p.share.entry_id in played.world.greedy)
    assert net + lost + slept >= 0, f"the house loses {-net}"


def _taker(played: Played, last: s.Settling, prize: settling.Prize) -> str:
    """Who has the money of a share on chain."""
    outcome = settling.outcome_txid(played.lane, last)
    closed = played.world.chain.view().spent.get(f"{outcome}:0")
    assert closed is not None
    if not closed.txid.startswith("split@"):
        return "coordinator"
    spend = played.world.chain.view().spent.get(f"{closed.txid}:{prize.share.vout}")
    if spend is None:
        return "dust"
    tx = played.world.chain.transaction(spend.txid)
    assert tx is not None
    return tx.by


def _one_end(played: Played, prize: settling.Prize, taker: str, paid: int) -> None:
    """Each share has exactly one end, and it is the one that is shown."""
    entry_id = prize.share.entry_id
    if entry_id in played.world.greedy:
        return
    ends = {
        PrizeState.PAID: (taker in ("coordinator", "dust"), paid > 0),
        PrizeState.CLAIMED: (taker == entry_id, paid == 0),
        PrizeState.OWED: (taker == "coordinator", paid == 0),
        PrizeState.VOID: (taker in ("coordinator", "dust"), paid == 0),
        PrizeState.UNECONOMIC: (taker == "dust", paid == 0),
    }
    assert all(ends[prize.state]), f"{entry_id} is {prize.state}, taken by {taker}, paid {paid}"
    if prize.state is PrizeState.PAID and prize.payout is not None:
        assert paid == prize.payout.amount
