"""deadline(): before the moment that it names nothing changes by itself, whatever else time does.

Timers rest on it (an idle competition is not looked at), and so does the hourly sweep, which calls it a bug when what
is stored differs from what follows now.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.awaited import Clock
from coordinator.domain.competitions.missing import missing
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.competitions.watching import Deadline, Watched, deadline, watched
from coordinator.domain.facts import Fact, FactBook, HoldState, PrizeState
from coordinator.domain.lane import Lane, SpendSeen, World
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support.examples import sweep

TERMS = b.terms_with()
MAINNET = b.terms_with(b.MAINNET)
WINNERS = b.winners(TERMS, 0)
SESSIONS = ("batch-1-0", "batch-1-1")
CHILD = f.Bumped(
    attempt=1,
    role="funding",
    number=1,
    bump=f.BumpKind.CHILD,
    txid="9" * 64,
    fee=b.Sats(500),
    spends=b.COIN,
    coins=(f"{'8' * 64}:1",),
)
FACTS: list[Fact] = [
    f.Drafted(draft="{}", event_ids=(), closes_at=UnixTime(b.CLOSE)),
    *b.seats(b.PLAYERS[:4]),
    *b.seats(("entry-5",), HoldState.OPEN),
    b.invoice("entry-1", HoldState.SETTLED),
    b.invoice("entry-2", expiry_height=b.TIP + 30),
    b.holds_read(0),
    b.holds_read(1),
    b.holds_read(1, at=b.TIP - 1),
    f.PlanningChecked(),
    b.oracle_event(),
    b.session(),
    *(b.seal(e) for e in b.ROSTER),
    *(b.registered(e) for e in b.ROSTER),
    b.registered("entry-3", refusal="no"),
    b.posted(),
    f.Outage(service="keymeld", since=UnixTime(b.WALL + 10), until=UnixTime(b.WALL + 50)),
    b.pinned(),
    b.batches(),
    *(b.ready(e, SESSIONS) for e in b.ROSTER),
    *b.approvals(),
    f.BatchHung(attempt=1, session_id="batch-1-1", reason="r"),
    b.spare(1, "batch-1-1", b.WALL + 50),
    b.batch_signed(0),
    b.batch_signed(1),
    b.contract_signed(),
    b.built("funding", b.FUNDING),
    b.built("outcome", b.OUTCOME, spends=f"{b.FUNDING}:0", at=b.CLOSE),
    f.BelowFloor(attempt=1, role="funding"),
    CHILD,
    f.HoldsDecided(attempt=1, settle=True, at_height=Height(b.TIP)),
    f.HoldsDecided(attempt=1, settle=False, at_height=Height(b.TIP)),
    b.attested(),
    f.Sent(role="outcome", txid=b.OUTCOME),
    f.Sent(role="split", txid=b.SPLIT),
    *(b.payout(e, state, next_try=UnixTime(b.WALL + 30)) for e in WINNERS for state in PrizeState),
    *(f.EntryKeyHeld(entry_id=e) for e in WINNERS),
    *(f.PreimageHeld(entry_id=e) for e in WINNERS),
    *(
        f.Notified(entry_id=e, topic=topic, delivered=True, at=UnixTime(b.WALL + 12))
        for e in b.ROSTER
        for topic in ("seal/1", "compare/1", "approve/1", "kit", "prize")
    ),
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
    lambda: b.delta_broadcasted(None),
    lambda: s.Returning(reason="r", ends_in="failed"),
    lambda: s.Cancelled(reason="r"),
]
SPENDS: list[dict[str, SpendSeen]] = [
    {},
    {b.COIN: SpendSeen(b.FUNDING, Height(b.TIP))},
    {b.COIN: SpendSeen(b.STRANGER, Height(b.TIP))},
    {b.COIN: SpendSeen(b.FUNDING, Height(b.TIP)), f"{b.FUNDING}:0": SpendSeen(b.OUTCOME, Height(b.TIP))},
    {f"{b.FUNDING}:0": SpendSeen(b.EXPIRED, Height(b.TIP))},
    {
        f"{b.FUNDING}:0": SpendSeen(b.OUTCOME, Height(b.TIP - 1)),
        f"{b.OUTCOME}:0": SpendSeen(b.SPLIT, Height(b.TIP)),
        f"{b.SPLIT}:0": SpendSeen(b.STRANGER, Height(b.TIP)),
    },
]
FAR = {Clock.WALL: 10**7, Clock.DOMAIN: 10**7, Clock.MEDIAN: 10**7, Clock.HEIGHT: 10**4}


@dataclass(frozen=True)
class Now:
    wall: int
    domain: int
    median: int
    height: int
    spends: int

    def world(self) -> World:
        spent = SPENDS[self.spends]
        confirmed = {seen.txid: seen.height for seen in spent.values()}
        if self.spends in (1, 3, 5):
            confirmed[b.FUNDING] = Height(b.TIP)
        return World(
            wall=UnixTime(self.wall),
            now=UnixTime(self.domain),
            tip=Height(self.height),
            median_time_past=UnixTime(self.median),
            confirmed=confirmed,
            spent=spent,
        )


moments = st.builds(
    Now,
    wall=st.sampled_from([b.WALL + n for n in (0, 5, 13, 49, 599, 600, 650, 1_300, 10**6)]),
    domain=st.sampled_from([b.CLOSE - 1, b.CLOSE, b.END_OF_CLOSING - 1, b.END_OF_CLOSING, b.EXPIRY, b.EXPIRY + 9]),
    median=st.sampled_from([b.CLOSE - 3_600, b.EXPIRY - 1, b.EXPIRY, b.EXPIRY + 1, b.EXPIRY + 10**5]),
    height=st.sampled_from(
        [b.TIP, b.TIP + 1, b.TIP + b.DELTA - 1, b.TIP + 2 * b.DELTA, b.DEADLINE - 5, b.DEADLINE, b.DEADLINE + 18]
    ),
    spends=st.integers(0, len(SPENDS) - 1),
)
subsets = st.lists(st.sampled_from(FACTS), unique_by=lambda fact: (fact.kind(), fact.key), max_size=70)


def lane_of(facts: list[Fact], world: World, terms: Any) -> Lane:
    book = FactBook()
    for fact in facts:
        book.put(fact)
    return Lane(b.LANE, terms, book, world)


def fixpoint(state: s.Competition, lane: Lane) -> s.Competition:
    while (step := advance(state, lane)) is not None:
        state = step.state
    return state


def before(now: Now, when: Deadline, jumps: tuple[int, int, int, int]) -> Now:
    """A later moment, before every moment that is named."""
    moved: list[int] = []
    for clock, present, due, jump in (
        (Clock.WALL, now.wall, when.wall, jumps[0]),
        (Clock.DOMAIN, now.domain, when.domain, jumps[1]),
        (Clock.MEDIAN, now.median, when.median, jumps[2]),
        (Clock.HEIGHT, now.height, when.height, jumps[3]),
    ):
        room = FAR[clock] if due is None else due - 1 - present
        moved.append(present + max(0, room) * jump // 100)
    return Now(*moved, spends=now.spends)


def keys(look: Watched) -> tuple[set[str], set[str]]:
    """From which height on something is looked for is fixed when it is written down."""
    return set(look.transactions), set(look.outpoints)


jumps = st.tuples(*(st.sampled_from([0, 1, 50, 100]) for _ in Clock))


@given(subsets, moments, st.integers(0, len(STATES) - 1), jumps, st.booleans())
@settings(max_examples=sweep(900), deadline=None)
def test_nothing_changes_before_the_moment_that_is_named(
    facts: list[Fact], now: Now, place: int, jump: tuple[int, int, int, int], mainnet: bool
) -> None:
    terms = MAINNET if mainnet else TERMS
    lane = lane_of(facts, now.world(), terms)
    state = fixpoint(STATES[place](), lane)
    when = deadline(state, lane)
    due = {Clock.WALL: when.wall, Clock.DOMAIN: when.domain, Clock.MEDIAN: when.median, Clock.HEIGHT: when.height}
    present = {Clock.WALL: now.wall, Clock.DOMAIN: now.domain, Clock.MEDIAN: now.median, Clock.HEIGHT: now.height}
    assert all(moment is None or moment > present[clock] for clock, moment in due.items()), (
        "a timer that fires for ever"
    )
    later = lane_of(facts, before(now, when, jump).world(), terms)
    assert advance(state, later) is None
    assert {duty.id(b.LANE) for duty in wanted(state, later)} == {duty.id(b.LANE) for duty in wanted(state, lane)}
    assert keys(watched(state, later)) == keys(watched(state, lane))
    assert deadline(state, later) == when


@given(subsets, moments, st.integers(0, len(STATES) - 1))
@settings(max_examples=sweep(600), deadline=None)
def test_whoever_is_not_over_waits_for_somebody_and_is_driven(facts: list[Fact], now: Now, place: int) -> None:
    """I10: a duty, a timer, or both; what is awaited until a moment that lies ahead is looked at by then."""
    lane = lane_of(facts, now.world(), TERMS)
    state = fixpoint(STATES[place](), lane)
    found = missing(state, lane)
    when = deadline(state, lane)
    timers = {Clock.WALL: when.wall, Clock.DOMAIN: when.domain, Clock.MEDIAN: when.median, Clock.HEIGHT: when.height}
    driven = bool(wanted(state, lane)) or any(timers.values())
    ahead = [one.until for one in found if one.until is not None and one.until.is_ahead(lane.world)]
    late = [until for until in ahead if (moment := timers[until.clock]) is None or moment > until.at]
    assert not late or isinstance(state, s.Settling | s.Returning), late
    over = isinstance(state, s.Ended)
    assert bool(found) is not over
    assert over or driven or (isinstance(state, s.Created) and lane.facts.get(f.Drafted) is None)
