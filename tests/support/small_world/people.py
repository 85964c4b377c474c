"""What players and operators do, as far as the commands let them."""

from __future__ import annotations

from msgspec import structs

from coordinator.domain import facts as f
from coordinator.domain.competitions import cancelling, closing, settling
from coordinator.domain.competitions import states as s
from coordinator.domain.facts import HoldState, PrizeState
from coordinator.domain.seats import seated
from coordinator_core.units import UnixTime
from tests.support import lanes as b
from tests.support.small_world.chain import Tx
from tests.support.small_world.chain_effects import expiry_tx, outcome_tx, split_tx
from tests.support.small_world.lightning_effects import SETTLED
from tests.support.small_world.played import Played

SECONDS_A_BLOCK = 600


def reserve(played: Played, entry_id: str) -> bool:
    """Reserve, or renew what was not paid; and hand the signed entry in."""
    lane, world = played.lane, played.world
    if not isinstance(played.state, s.CollectingEntries) or world.now >= lane.terms.schedule.entries_close:
        return False
    old = lane.facts.get(f.Ticket, entry_id)
    invoice = None if old is None else lane.invoice_of(old)
    if len(seated(lane)) >= lane.terms.entries.maximum or (old is not None and invoice is None):
        return False
    if invoice is not None and (invoice.state is HoldState.ACCEPTED or world.wall < invoice.expires_at):
        return False
    generation = 1 if old is None else old.generation + 1
    player = f"{b.PLAYERS.index(entry_id) + 1:064x}"
    ticket = structs.replace(b.ticket(entry_id, generation), player=player, reserved_at=UnixTime(world.wall))
    return played.put(ticket, b.entry(entry_id, generation))


def pay_ticket(played: Played, entry_id: str) -> bool:
    """The player's wallet pays whatever invoice it was ever given."""
    payable = [i for i in played.facts.all(f.Invoice) if i.entry_id == entry_id]
    return any(
        played.world.lightning.accept(i.payment_hash, played.world.wall, played.world.chain.tip) for i in payable
    )


def seal(played: Played, entry_id: str) -> bool:
    """Within the window, by who is in the roster."""
    state, lane = played.state, played.lane
    if not isinstance(state, s.AwaitingKeygen) or entry_id not in state.roster:
        return False
    deadline = closing.sealing_deadline(lane, state.attempt)
    if deadline is None or played.world.wall >= deadline:
        return False
    return played.put(b.seal(entry_id, state.attempt, played.world.wall))


def approve(played: Played, entry_id: str) -> bool:
    """Ready for the open sessions, and a fresh approval of each that still needs one."""
    state, lane, wall = played.state, played.lane, played.world.wall
    if not isinstance(state, s.AwaitingSigning) or entry_id not in state.roster:
        return False
    sessions = tuple(sorted(batch.session_id for batch in closing.open_batches(lane, state.attempt)))
    if not sessions:
        return False
    useful = {(a.session_id, a.entry_id) for a in closing.unspent_approvals(lane, state.attempt)}
    useful |= {(a.session_id, a.entry_id) for a in lane.facts.of_attempt(f.Forwarded, state.attempt)}
    given = [b.approval(entry_id, n, state.attempt, wall) for n in sessions if (n, entry_id) not in useful]
    return played.put(b.ready(entry_id, sessions, state.attempt, wall), *given)


def prize(played: Played, entry_id: str) -> settling.Prize | None:
    if not isinstance(played.state, SETTLED):
        return None
    return next((p for p in settling.prizes(played.lane, played.state) if p.share.entry_id == entry_id), None)


def ask_to_be_paid(played: Played, entry_id: str, *, atomic: bool, patient: bool) -> bool:
    """One live payout an entry; an atomic one only once, for Lightning takes no second invoice on a hash."""
    state, lane, found = played.state, played.lane, prize(played, entry_id)
    if found is None or found.state is not PrizeState.CLAIMABLE or not isinstance(state, SETTLED):
        return False
    number = len(played.world.secrets)
    payment_hash = f"payout-{entry_id}" if atomic else f"invoice-{entry_id}-{number}"
    if payment_hash in played.world.secrets:
        return False
    played.world.secrets[payment_hash] = entry_id
    lasts = max(60, settling.lightning_window(lane, state) * SECONDS_A_BLOCK) if atomic or patient else 60
    payout = b.payout(
        entry_id,
        PrizeState.PAYING,
        payment_hash=payment_hash,
        amount=found.share.net,
        atomic=atomic,
        expires_at=UnixTime(played.world.wall + lasts),
    )
    return played.put(payout, *([] if atomic else [f.PreimageHeld(entry_id=entry_id)]))


def give_key(played: Played, entry_id: str) -> bool:
    found = prize(played, entry_id)
    if found is None or found.state is not PrizeState.PAID:
        return False
    return played.put(f.EntryKeyHeld(entry_id=entry_id))


def public_transactions(played: Played) -> list[Tx]:
    """What anybody may send by now: presigned ones that opened, and claims of winners who paid for their ticket."""
    world, lane = played.world, played.lane
    state = played.state
    found: list[Tx] = []
    for signed in played.facts.all(f.ContractSigned):
        if world.attested is not None:
            found.append(outcome_tx(signed.attempt, world.attested))
        found.append(expiry_tx(signed.attempt, lane.terms.contract.expiry))
    if isinstance(state, SETTLED):
        parent = settling.outcome_txid(lane, state)
        holders = [e for e in state.roster if has_preimage(played, e)]
        winners = {share.entry_id for share in settling.shares(lane, state.roster, settling.outcome_of(state))}
        if parent is not None and winners & set(holders):
            found.append(split_tx(parent, lane.terms.contract.delta))
    return [tx for tx in found if not world.chain.knows(tx.txid)]


def has_preimage(played: Played, entry_id: str) -> bool:
    """The player's wallet holds the ticket preimage once its payment was settled."""
    ticket = played.facts.get(f.Ticket, entry_id)
    hold = None if ticket is None else played.world.lightning.holds.get(ticket.ticket_hash)
    return hold is not None and hold.state is HoldState.SETTLED


def claim(played: Played, entry_id: str) -> Tx | None:
    """The `win` of a winner who holds its ticket preimage: its share of the split, a delta after it."""
    state, lane = played.state, played.lane
    if not isinstance(state, s.DeltaBroadcasted) or not has_preimage(played, entry_id):
        return None
    share = next((x for x in settling.shares(lane, state.roster, state.outcome) if x.entry_id == entry_id), None)
    if share is None:
        return None
    outpoint = f"{state.split_txid}:{share.vout}"
    return Tx(f"win-{entry_id}@{state.split_txid}", (outpoint,), lane.terms.contract.delta, by=entry_id)


def cancel(played: Played, who: str, *, is_owner: bool) -> bool:
    """An operator's word, judged as the command judges it."""
    judgement = cancelling.judge(played.state, played.lane, who, is_owner=is_owner)
    if judgement in (cancelling.Judgement.TOO_LATE, cancelling.Judgement.OWNERS_ONLY):
        return False
    if judgement is cancelling.Judgement.ENDS:
        played.stopped = False
    return played.put(f.CancelAsked(by=who, reason=f"{who} asked", is_owner=is_owner))
