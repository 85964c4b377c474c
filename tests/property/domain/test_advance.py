"""advance() and wanted() whatever the order in which facts arrive, and what no trace may ever contain."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.competitions.watching import deadline, watched
from coordinator.domain.facts import Fact, FactBook, HoldState, PrizeState
from coordinator.domain.lane import Lane, SpendSeen, World
from coordinator.domain.typestate import State
from coordinator_core.units import UnixTime
from tests.support import lanes as b

TERMS = b.terms_with()
MAINNET = b.terms_with(b.MAINNET)
FOUR = b.PLAYERS[:4]
WINNERS = b.winners(TERMS, 0)

HAPPY: list[Fact] = [
    f.Published(terms="{}", terms_hash="h"),
    *b.seats(),
    b.holds_read(0),
    f.PlanningChecked(),
    b.oracle_event(),
    b.session(),
    *(b.seal(e) for e in b.ROSTER),
    *(b.registered(e) for e in b.ROSTER),
    b.keygen(),
    b.posted(),
    b.pinned(),
    b.batches(),
    *(b.ready(e, ("batch-1-0", "batch-1-1")) for e in b.ROSTER),
    *b.approvals(),
    b.batch_signed(0),
    b.batch_signed(1),
    b.contract_signed(),
    b.holds_read(1),
    b.built("funding", b.FUNDING),
    b.attested(),
]
TROUBLE: list[Fact] = [
    *b.seats(FOUR[3:]),
    b.seal("entry-4", at=b.WALL + b.SEALING - 1),
    b.registered("entry-4", refusal="no"),
    f.AttemptFault(attempt=1, reason="epoch"),
    f.AttemptFault(attempt=2, reason="epoch"),
    b.oracle_event(2),
    b.session(2),
    b.keygen(2),
    f.BatchHung(attempt=1, session_id="batch-1-1", reason="r"),
    b.spare(1, "batch-1-1", b.WALL + 50),
    f.CancelAsked(by="o", reason="canceled"),
    f.CoinsReleased(attempt=1),
    f.HoldsDecided(attempt=1, settle=True, at_height=b.Height(b.TIP)),
    f.HoldsDecided(attempt=2, settle=False, at_height=b.Height(b.TIP)),
    b.built("sweep:reclaim:entry-1", b.STRANGER),
    f.Sent(role="split", txid=b.SPLIT),
    *(b.payout(e, PrizeState.PAID) for e in WINNERS),
    *(f.EntryKeyHeld(entry_id=e) for e in WINNERS),
]
STATES: list[Any] = [
    s.Created,
    lambda: s.CollectingEntries(terms_hash="h"),
    b.awaiting_escrow,
    lambda: s.EscrowConfirmed(roster=b.ROSTER),
    b.event_created,
    b.awaiting_keygen,
    b.entries_submitted,
    b.awaiting_signing,
    b.funding_ready,
    b.funding_broadcasted,
    b.funding_confirmed,
    b.awaiting_attestation,
    b.outcome_broadcasted,
    b.expiry_broadcasted,
    b.delta_broadcasted,
    lambda: s.Returning(reason="r", ends_in="failed"),
]


def times(**world: Any) -> dict[str, Any]:
    return {"wall": b.WALL, "now": b.CLOSE, "tip": b.TIP, "median_time_past": b.CLOSE, **world}


worlds = st.builds(
    times,
    wall=st.sampled_from([b.WALL, b.WALL + b.SEALING, b.WALL + 3 * b.SEALING]),
    now=st.sampled_from([b.CLOSE - 1, b.CLOSE, b.END_OF_CLOSING]),
    tip=st.sampled_from([b.TIP, b.TIP + 2, b.DEADLINE - 5, b.DEADLINE + 1, b.DEADLINE + 18, b.TIP + 400]),
    median_time_past=st.sampled_from([b.CLOSE, b.EXPIRY + 1]),
    confirmed=st.sampled_from([{}, {b.FUNDING: b.TIP}, {b.FUNDING: b.TIP, b.OUTCOME: b.TIP, b.SPLIT: b.TIP}]),
    spent=st.sampled_from(
        [
            {},
            {b.COIN: SpendSeen(b.STRANGER, b.Height(b.TIP))},
            {f"{b.FUNDING}:0": SpendSeen(b.OUTCOME, b.Height(b.TIP))},
            {f"{b.FUNDING}:0": SpendSeen(b.EXPIRED, b.Height(b.TIP))},
            {
                f"{b.FUNDING}:0": SpendSeen(b.OUTCOME, b.Height(b.TIP)),
                f"{b.OUTCOME}:0": SpendSeen(b.SPLIT, b.Height(b.TIP)),
                f"{b.SPLIT}:0": SpendSeen(b.STRANGER, b.Height(b.TIP)),
            },
        ]
    ),
)
subsets = st.lists(st.sampled_from([*HAPPY, *TROUBLE]), unique_by=lambda fact: (fact.kind(), fact.key), max_size=60)
places = st.integers(min_value=0, max_value=len(STATES) - 1)


def lane_of(facts: list[Fact], world: dict[str, Any], terms: Any = TERMS) -> Lane:
    book = FactBook()
    for fact in facts:
        book.put(fact)
    return Lane(b.LANE, terms, book, World(**world))


def fixpoint(state: s.Competition, lane: Lane) -> tuple[s.Competition, int]:
    for count in range(33):
        step = advance(state, lane)
        if step is None:
            return state, count
        state = step.state
    raise AssertionError(f"no fixpoint, at {type(state).__name__}")


def everything(state: s.Competition, lane: Lane) -> tuple[Any, ...]:
    duties = {duty.id(b.LANE): duty for duty in wanted(state, lane)}
    return type(state), state, duties, watched(state, lane), deadline(state, lane)


@given(subsets, worlds, places, st.randoms(use_true_random=False))
@settings(max_examples=250, deadline=None)
def test_facts_in_any_order_and_doubled_end_the_same(
    facts: list[Fact], world: dict[str, Any], place: int, dice: random.Random
) -> None:
    first = lane_of(facts, world)
    shuffled = [*facts, *facts]
    dice.shuffle(shuffled)
    second = lane_of(shuffled, world)
    left, _ = fixpoint(STATES[place](), first)
    right, _ = fixpoint(STATES[place](), second)
    assert everything(left, first) == everything(right, second)


@given(st.permutations(HAPPY), st.integers(min_value=1, max_value=8))
@settings(max_examples=100, deadline=None)
def test_happy_facts_interleaved_with_applications_end_the_same(order: list[Fact], chunk: int) -> None:
    """Early, late or reordered notifications: applying after every few facts ends where applying once ends."""
    world = times(confirmed={b.FUNDING: b.TIP})
    settled = [b.invoice(e, HoldState.SETTLED) for e in b.ROSTER]
    state: s.Competition = s.Created()
    known: list[Fact] = list(b.seats())
    for start in range(0, len(order), chunk):
        known += order[start : start + chunk]
        state, _ = fixpoint(state, lane_of(known, world))
    assert isinstance(state, s.FundingConfirmed)
    state, _ = fixpoint(state, lane_of([*known, *settled], world))
    assert state == b.outcome_broadcasted()


@given(subsets, worlds, places)
@settings(max_examples=250, deadline=None)
def test_wanted_is_a_function_with_unique_ids(facts: list[Fact], world: dict[str, Any], place: int) -> None:
    lane = lane_of(facts, world)
    state, _ = fixpoint(STATES[place](), lane)
    first, second = wanted(state, lane), wanted(state, lane)
    assert first == second
    ids = [duty.id(b.LANE) for duty in first]
    assert len(set(ids)) == len(ids)
    assert advance(state, lane) is None


@given(subsets, worlds, places, st.sampled_from([TERMS, MAINNET]))
@settings(max_examples=400, deadline=None)
def test_no_trace_settles_before_the_funding_has_required_confirmations(
    facts: list[Fact], world: dict[str, Any], place: int, terms: Any
) -> None:
    """The one exception is the recorded decision for holds that ran short while our node held the funding."""
    lane = lane_of(facts, world, terms)
    state: s.Competition = STATES[place]()
    while True:
        settles = [duty for duty in wanted(state, lane) if duty.kind() == "ln.settle"]
        if settles:
            deep = lane.world.confirmations(b.FUNDING) >= terms.contract.required_confirmations
            decided = lane.facts.get(f.HoldsDecided, getattr(state, "attempt", 0))
            assert deep or (isinstance(state, s.FundingBroadcasted) and decided is not None and decided.settle)
        step = advance(state, lane)
        if step is None:
            return
        state = step.state


@given(subsets, worlds, places)
@settings(max_examples=250, deadline=None)
def test_no_ticket_is_settled_and_given_back_at_once(facts: list[Fact], world: dict[str, Any], place: int) -> None:
    lane = lane_of(facts, world)
    state, _ = fixpoint(STATES[place](), lane)
    kinds: dict[str, set[str]] = {"ln.settle": set(), "ln.cancel": set()}
    for duty in wanted(state, lane):
        if duty.kind() in kinds:
            kinds[duty.kind()].add(duty.key)
    assert not kinds["ln.settle"] & kinds["ln.cancel"]


def later(state: s.Competition, known: list[Fact], world: dict[str, Any]) -> tuple[list[Fact], dict[str, Any]]:
    """The world as it becomes when every wanted duty is done and time passes: what the executors would report."""
    lane = lane_of(known, world)
    facts: list[Fact] = []
    confirmed, spent = dict(world.get("confirmed", {})), dict(world.get("spent", {}))
    for duty in wanted(state, lane):
        key = duty.key
        if duty.kind() == "ln.cancel":
            facts += [_ended(i, HoldState.CANCELED) for i in lane.facts.all(f.Invoice) if i.payment_hash == key]
        elif duty.kind() == "ln.settle":
            facts += [_ended(i, HoldState.SETTLED) for i in lane.facts.all(f.Invoice) if i.payment_hash == key]
        elif duty.kind() == "wallet.release":
            facts.append(f.CoinsReleased(attempt=int(key)))
        elif duty.kind() == "chain.broadcast":
            role: str = duty.role  # type: ignore[attr-defined]
            _mine(role, world["tip"], confirmed, spent)
            facts.append(b.built(role, _txid(role)))
    passed = world["tip"] + 1_000
    return [*known, *facts], times(
        wall=world["wall"] + 86_400,
        now=b.END_OF_CLOSING,
        tip=passed,
        median_time_past=b.EXPIRY + 1,
        confirmed=confirmed,
        spent=spent,
    )


def _ended(invoice: f.Invoice, state: HoldState) -> f.Invoice:
    return b.invoice(invoice.entry_id, state, generation=invoice.generation)


def _txid(role: str) -> str:
    known = {"funding": b.FUNDING, "outcome": b.OUTCOME, "expiry": b.EXPIRED, "split": b.SPLIT}
    return known.get(role, role.replace(":", "-"))


def _mine(role: str, height: int, confirmed: dict[str, Any], spent: dict[str, Any]) -> None:
    confirmed[_txid(role)] = b.Height(height)
    inputs = {"funding": b.COIN, "outcome": f"{b.FUNDING}:0", "expiry": f"{b.FUNDING}:0"}
    first = spent.get(f"{b.FUNDING}:0")
    parent = first.txid if first is not None else b.OUTCOME
    outpoint = inputs.get(role, f"{parent}:0")
    if role.startswith("sweep:"):
        vout = b.ROSTER.index(role.rpartition(":")[2])
        outpoint = f"{b.SPLIT}:{vout}"
    spent.setdefault(outpoint, SpendSeen(_txid(role), b.Height(height)))


def cases() -> list[Any]:
    """Every waiting state with a pinned contract, and those before the signing without one too."""
    bare = [make for make in STATES if not isinstance(make(), s.OnChain | s.Settling)]
    listed = [*((make, True) for make in STATES), *((make, False) for make in bare)]
    return [pytest.param(*case, id=f"{type(case[0]()).__name__}-{case[1]}") for case in listed]


@pytest.mark.parametrize(("make", "contract"), cases())
def test_every_state_reaches_its_end_when_services_do_their_work_and_nobody_else_acts(
    make: Any, contract: bool
) -> None:
    """No player seals, claims or asks to be paid; the oracle is silent: every lane still ends by deadlines alone."""
    state: s.Competition = make()
    known: list[Fact] = [*b.seats(), b.posted(), f.Drafted(draft="{}", event_ids=(), closes_at=UnixTime(b.CLOSE))]
    if contract:
        known += [b.pinned(), b.contract_signed()]
    broadcast = isinstance(state, s.OnChain | s.Settling)
    world = times(confirmed={b.FUNDING: b.TIP}) if broadcast else times(now=b.CLOSE)
    for _ in range(40):
        state, _count = fixpoint(state, lane_of(known, world))
        if isinstance(state, s.Ended):
            break
        known, world = later(state, known, world)
    assert isinstance(state, s.Ended), f"{type(state).__name__} never ended"


def test_every_waiting_state_is_in_the_list() -> None:
    kinds: set[type[State]] = {type(make()) for make in STATES}
    assert kinds | {s.Completed, s.Cancelled, s.Failed} == set(s.Competition.__args__)
