"""missing(): every state that is not over names somebody; a later phase waits for the earlier one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.awaited import WORDS, Awaited, Clock, Party, Phase, Until
from coordinator.domain.competitions.missing import missing
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.competitions.watching import deadline
from coordinator.domain.facts import Fact, HoldState, PrizeState
from coordinator.domain.lane import Lane
from coordinator.domain.versions import STATES
from coordinator_core.units import Height, UnixTime
from tests.support import lanes as b
from tests.support.lanes import Story

GOLDEN = sorted((Path(__file__).parents[2] / "vectors" / "states" / "state").glob("*.json"))
DRAFT = f.Drafted(draft="{}", event_ids=(), closes_at=UnixTime(b.CLOSE))
HELD = b.seats()
READY = ("batch-1-0", "batch-1-1")
COMPARED = [b.ready(e, READY) for e in b.ROSTER]
SEALED = [b.seal(e) for e in b.ROSTER]
SIGNED = [b.batch_signed(0), b.batch_signed(1)]
BUILT = b.built("funding", b.FUNDING)
QUEUED = f.Queued(attempt=1, since=UnixTime(b.WALL))
OVER = s.Completed | s.Cancelled | s.Failed
END = Until(Clock.DOMAIN, b.END_OF_CLOSING)
DEADLINE = Until(Clock.HEIGHT, b.DEADLINE)
SEALING = Until(Clock.WALL, b.WALL + b.SEALING)
APPROVALS = Until(Clock.WALL, b.WALL + b.APPROVALS)
HOLDS = Until(Clock.HEIGHT, b.DEADLINE + 49 - 18)
EXPIRY = Until(Clock.MEDIAN, b.EXPIRY + 1)
FIRST, SECOND = b.winners(b.terms_with(), 0)
WON = [b.pinned(), b.contract_signed(), b.attested(), f.Sent(role="outcome", txid=b.OUTCOME)]


@dataclass(frozen=True)
class Row:
    name: str
    state: Callable[[], s.Competition]
    phase: Phase
    party: Party
    until: Until | None
    facts: list[Fact] = field(default_factory=list[Fact])
    world: dict[str, Any] = field(default_factory=dict[str, Any])
    entries: tuple[str | None, ...] = (None,)

    @property
    def lane(self) -> Lane:
        return Story(facts=list(self.facts), world=dict(self.world)).lane


def collecting() -> s.CollectingEntries:
    return s.CollectingEntries(terms_hash="h")


def returning() -> s.Returning:
    return s.Returning(reason="r", ends_in="cancelled")


def spent(confirmations: int = 1) -> dict[str, Any]:
    return {"confirmed": {b.FUNDING: Height(b.TIP - confirmations + 1)}}


OUTCOME_IN_CHAIN = {"confirmed": {b.FUNDING: Height(b.TIP - 9), b.OUTCOME: Height(b.TIP)}}
SPLIT_IN_CHAIN = {"confirmed": {**OUTCOME_IN_CHAIN["confirmed"], b.SPLIT: Height(b.TIP)}}
PAID = [b.payout(e, PrizeState.PAID) for e in (FIRST, SECOND)]
LATE = {"now": b.CLOSE + 1}

ROWS = [
    Row("terms", s.Created, Phase.FIX_TERMS, Party.ORACLE, Until(Clock.DOMAIN, b.CLOSE), [DRAFT]),
    Row("seats are free", collecting, Phase.TAKE_SEATS, Party.PLAYER, Until(Clock.DOMAIN, b.CLOSE), HELD),
    Row("full", collecting, Phase.COME_BACK, Party.PLAYER, Until(Clock.DOMAIN, b.CLOSE), b.seats(b.PLAYERS)),
    Row("holds of the start", b.awaiting_escrow, Phase.READ_HOLDS, Party.LIGHTNING, END, HELD),
    Row(
        "planning",
        lambda: s.EscrowConfirmed(roster=b.ROSTER),
        Phase.CHECK_PLANNING,
        Party.ORACLE,
        END,
    ),
    Row("event", b.event_created, Phase.CREATE_EVENT, Party.ORACLE, END),
    Row("session", b.awaiting_keygen, Phase.OPEN_SESSION, Party.KEYMELD, END),
    Row("queued", b.awaiting_keygen, Phase.TAKE_TURN, Party.COORDINATOR, END, [QUEUED]),
    Row("nobody sealed", b.awaiting_keygen, Phase.SEAL, Party.PLAYER, SEALING, [b.session()], {}, b.ROSTER),
    Row(
        "one is left to seal",
        b.awaiting_keygen,
        Phase.SEAL,
        Party.PLAYER,
        SEALING,
        [b.session(), *SEALED[:2]],
        {},
        ("entry-3",),
    ),
    Row(
        "an outage is added to the window",
        b.awaiting_keygen,
        Phase.SEAL,
        Party.PLAYER,
        Until(Clock.WALL, b.WALL + b.SEALING + 30),
        [b.session(), *SEALED[:2], f.Outage(service="keymeld", since=UnixTime(b.WALL), until=UnixTime(b.WALL + 30))],
        {},
        ("entry-3",),
    ),
    Row(
        "only a refused key is left",
        b.awaiting_keygen,
        Phase.NEXT_ATTEMPT,
        Party.COORDINATOR,
        SEALING,
        [b.session(), *SEALED, b.registered("entry-1", refusal="bad key")],
    ),
    Row(
        "keys are handed in",
        b.awaiting_keygen,
        Phase.FINISH_KEYGEN,
        Party.KEYMELD,
        Until(Clock.WALL, b.WALL + 2 * b.SEALING),
        [b.session(), *SEALED],
    ),
    Row("entries", b.entries_submitted, Phase.SUBMIT_ENTRIES, Party.ORACLE, END),
    Row("kick-off", b.entries_submitted, Phase.PIN_CONTRACT, Party.COORDINATOR, END, [b.posted()]),
    Row("batches", b.awaiting_signing, Phase.OPEN_BATCHES, Party.KEYMELD, END),
    Row("compare", b.awaiting_signing, Phase.COMPARE, Party.PLAYER, APPROVALS, [b.batches()], {}, b.ROSTER),
    Row(
        "who is ready is not asked before the others are",
        b.awaiting_signing,
        Phase.COMPARE,
        Party.PLAYER,
        APPROVALS,
        [b.batches(), *COMPARED[:2]],
        {},
        ("entry-3",),
    ),
    Row("approve", b.awaiting_signing, Phase.APPROVE, Party.PLAYER, APPROVALS, [b.batches(), *COMPARED], {}, b.ROSTER),
    Row(
        "one is left to approve",
        b.awaiting_signing,
        Phase.APPROVE,
        Party.PLAYER,
        APPROVALS,
        [b.batches(), *COMPARED, *b.approvals(("entry-1", "entry-3"))],
        {},
        ("entry-2",),
    ),
    Row(
        "only one that forfeited is left",
        b.awaiting_signing,
        Phase.NEXT_ATTEMPT,
        Party.COORDINATOR,
        APPROVALS,
        [
            b.batches(),
            *COMPARED,
            *b.approvals(),
            f.ApprovalSpent(
                attempt=1, entry_id="entry-2", session_id="batch-1-0", timestamp=UnixTime(1), header_used=True
            ),
        ],
    ),
    Row(
        "a batch hung",
        b.awaiting_signing,
        Phase.OPEN_SPARE,
        Party.KEYMELD,
        APPROVALS,
        [b.batches(), *COMPARED, *b.approvals(), f.BatchHung(attempt=1, session_id="batch-1-1", reason="r")],
    ),
    Row(
        "signatures",
        b.awaiting_signing,
        Phase.SIGN,
        Party.KEYMELD,
        Until(Clock.WALL, b.WALL + 2 * b.APPROVALS),
        [b.batches(), *COMPARED, *b.approvals(), b.batch_signed(0)],
    ),
    Row(
        "the whole contract",
        b.awaiting_signing,
        Phase.ASSEMBLE,
        Party.COORDINATOR,
        Until(Clock.WALL, b.WALL + 2 * b.APPROVALS),
        [b.batches(), *COMPARED, *b.approvals(), *SIGNED],
    ),
    Row("holds before the funding", b.funding_ready, Phase.READ_HOLDS, Party.LIGHTNING, DEADLINE, HELD),
    Row("funding leaves", b.funding_broadcasted, Phase.SEND_FUNDING, Party.COORDINATOR, DEADLINE, HELD),
    Row(
        "funding is out",
        b.funding_broadcasted,
        Phase.CONFIRM_FUNDING,
        Party.CHAIN,
        Until(Clock.HEIGHT, b.DEADLINE + 18),
        [*HELD, BUILT],
    ),
    Row(
        "holds were decided: settle",
        b.funding_broadcasted,
        Phase.SETTLE_TICKETS,
        Party.LIGHTNING,
        HOLDS,
        [*HELD, BUILT, f.HoldsDecided(attempt=1, settle=True, at_height=Height(b.TIP))],
    ),
    Row(
        "holds were decided: cancel",
        b.funding_broadcasted,
        Phase.GIVE_BACK,
        Party.LIGHTNING,
        HOLDS,
        [*HELD, BUILT, f.HoldsDecided(attempt=1, settle=False, at_height=Height(b.TIP))],
    ),
    Row(
        "a coin comes back",
        b.funding_broadcasted,
        Phase.CONFIRM_RETURN,
        Party.CHAIN,
        None,
        [BUILT, f.HoldsDecided(attempt=1, settle=False, at_height=Height(b.TIP))],
    ),
    Row(
        "settled before it confirmed",
        b.funding_broadcasted,
        Phase.CONFIRM_FUNDING,
        Party.CHAIN,
        None,
        [BUILT, f.HoldsDecided(attempt=1, settle=True, at_height=Height(b.TIP))],
    ),
    Row("settle", b.funding_confirmed, Phase.SETTLE_TICKETS, Party.LIGHTNING, HOLDS, HELD, spent()),
    Row("a reorg took a block", b.funding_confirmed, Phase.CONFIRM_FUNDING, Party.CHAIN, HOLDS, HELD),
    Row("result", b.awaiting_attestation, Phase.ATTEST, Party.ORACLE, EXPIRY, [], spent()),
    Row("outcome", b.outcome_broadcasted, Phase.CONFIRM_OUTCOME, Party.CHAIN, EXPIRY, [*WON, *PAID], spent()),
    Row("expiry", b.expiry_broadcasted, Phase.CONFIRM_OUTCOME, Party.CHAIN, None, [b.pinned()], LATE),
    Row(
        "delta passes",
        b.outcome_broadcasted,
        Phase.REACH_SPLIT,
        Party.CHAIN,
        Until(Clock.HEIGHT, b.TIP + b.DELTA),
        WON,
        OUTCOME_IN_CHAIN,
    ),
    Row(
        "a tree without winners",
        lambda: b.outcome_broadcasted(0, (FIRST, SECOND)),
        Phase.REACH_SPLIT,
        Party.CHAIN,
        Until(Clock.HEIGHT, b.TIP + 2 * b.DELTA),
        WON,
        OUTCOME_IN_CHAIN,
    ),
    Row(
        "everyone was paid and gave the key",
        b.outcome_broadcasted,
        Phase.CONFIRM_CLOSE,
        Party.CHAIN,
        None,
        [*WON, *PAID, *(f.EntryKeyHeld(entry_id=e) for e in (FIRST, SECOND))],
        OUTCOME_IN_CHAIN,
    ),
    Row("split", b.delta_broadcasted, Phase.CONFIRM_SPLIT, Party.CHAIN, None, WON, OUTCOME_IN_CHAIN),
    Row(
        "outputs",
        b.delta_broadcasted,
        Phase.CONFIRM_SWEEPS,
        Party.CHAIN,
        Until(Clock.HEIGHT, b.TIP + 2 * b.DELTA),
        [*WON, *PAID],
        SPLIT_IN_CHAIN,
    ),
    Row("give back", returning, Phase.GIVE_BACK, Party.LIGHTNING, HOLDS, HELD),
    Row(
        "cancel an unpaid invoice",
        returning,
        Phase.GIVE_BACK,
        Party.LIGHTNING,
        Until(Clock.WALL, b.WALL + 600),
        [b.invoice("entry-1", HoldState.OPEN)],
    ),
    Row(
        "debts",
        returning,
        Phase.RECORD_DEBTS,
        Party.COORDINATOR,
        None,
        [b.invoice("entry-1", HoldState.SETTLED)],
    ),
    Row(
        "a payment that may still arrive",
        returning,
        Phase.PAY_PRIZE,
        Party.LIGHTNING,
        None,
        [b.invoice("entry-1", HoldState.SETTLED), b.payout("entry-1", PrizeState.UNKNOWN)],
    ),
    Row("coins", returning, Phase.RELEASE_COINS, Party.COORDINATOR, None, [b.posted()]),
    Row("a signed funding", returning, Phase.CONFIRM_RETURN, Party.CHAIN, None, [b.posted(), b.pinned(), BUILT]),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_who_is_awaited(row: Row) -> None:
    found = [one for one in missing(row.state(), row.lane) if one.phase is row.phase]
    assert [one.entry_id for one in found] == list(row.entries)
    assert {one.party for one in found} == {row.party}
    assert {one.until for one in found} == {row.until}


@pytest.mark.parametrize("row", [row for row in ROWS if row.entries != (None,)], ids=lambda row: row.name)
def test_players_of_one_phase_at_a_time(row: Row) -> None:
    assert {one.phase for one in missing(row.state(), row.lane)} == {row.phase}


def test_every_phase_is_in_the_table_and_in_words() -> None:
    beside = {Phase.LOOK, Phase.ASK_PRIZE, Phase.PAY_PRIZE, Phase.CLAIM_PRIZE}
    assert {row.phase for row in ROWS} | beside == set(Phase)
    assert set(WORDS) == set(Phase)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_what_is_awaited_has_a_duty_or_a_deadline_that_lies_ahead(row: Row) -> None:
    """I10: what nobody does and nothing ends would be waited for for ever."""
    state, lane = row.state(), row.lane
    ahead = [one.until for one in missing(state, lane) if one.until is not None and one.until.is_ahead(lane.world)]
    when = deadline(state, lane)
    timers = {Clock.WALL: when.wall, Clock.DOMAIN: when.domain, Clock.MEDIAN: when.median, Clock.HEIGHT: when.height}
    assert wanted(state, lane) or any(moment is not None for moment in timers.values())
    late = [until for until in ahead if (moment := timers[until.clock]) is None or moment > until.at]
    # There Lightning or the chain ends it by itself, and a duty asks until it is so.
    assert not late or (isinstance(state, s.OutcomeBroadcasted | s.Returning) and wanted(state, lane))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_every_stored_state_that_is_not_over_names_somebody(path: Path) -> None:
    tag, version = path.name.removesuffix(".json").rsplit(".v", 1)
    members = json.loads(path.read_text())
    # Placeholders stand there: the tables of prizes need an outcome that the terms have.
    members |= {name: value for name, value in {"roster": b.ROSTER, "outcome": 0}.items() if name in members}
    state = STATES.decode(tag, int(version), json.dumps(members).encode())
    facts: list[Fact] = [DRAFT, *WON]
    found = missing(state, Story(facts=facts).lane)
    assert bool(found) is not isinstance(state, OVER)
    assert all(one.what for one in found)


class TestPrizes:
    def awaited(self, state: s.Competition, *facts: Fact, **world: Any) -> dict[str | None, Awaited]:
        story = Story(facts=[*WON, *facts], world=world or OUTCOME_IN_CHAIN)
        return {one.entry_id: one for one in missing(state, story.lane)}

    def test_winners_ask_while_lightning_can_still_pay(self) -> None:
        found = self.awaited(b.outcome_broadcasted())
        assert {found[FIRST].phase, found[SECOND].phase} == {Phase.ASK_PRIZE}
        assert found[FIRST].until == Until(Clock.HEIGHT, b.TIP + 2 * b.DELTA - 16)
        assert found[None].phase is Phase.REACH_SPLIT

    def test_a_payment_on_its_way_is_lightnings(self) -> None:
        for state in (PrizeState.PAYING, PrizeState.UNKNOWN):
            found = self.awaited(b.outcome_broadcasted(), b.payout(FIRST, state))
            assert (found[FIRST].phase, found[FIRST].party) == (Phase.PAY_PRIZE, Party.LIGHTNING)
            assert found[FIRST].until == Until(Clock.HEIGHT, b.TIP + 2 * b.DELTA - 13)

    def test_who_was_paid_is_awaited_no_more(self) -> None:
        assert FIRST not in self.awaited(b.outcome_broadcasted(), b.payout(FIRST, PrizeState.PAID))

    def test_after_lightnings_window_the_chain_is_left(self) -> None:
        world = {**SPLIT_IN_CHAIN, "tip": Height(b.TIP + b.DELTA)}
        found = self.awaited(b.delta_broadcasted(), **world)
        assert {found[FIRST].phase, found[SECOND].phase} == {Phase.CLAIM_PRIZE}
        assert found[FIRST].until == Until(Clock.HEIGHT, b.TIP + 2 * b.DELTA)

    def test_an_outcome_that_we_do_not_know_is_the_oracles(self) -> None:
        story = Story(facts=[b.pinned(), b.contract_signed()]).spend(f"{b.FUNDING}:0", b.STRANGER)
        (found,) = missing(b.expiry_broadcasted(), story.lane)
        assert (found.phase, found.party) == (Phase.ATTEST, Party.ORACLE)


class TestPeople:
    def test_a_stopped_competition_waits_for_the_operator_alone(self) -> None:
        lane = Story(facts=list(HELD)).lane
        stopped = Lane(lane.id, lane.published, lane.facts, lane.world, stopped=True)
        (found,) = missing(b.awaiting_escrow(), stopped)
        assert (found.phase, found.party, found.until) == (Phase.LOOK, Party.OPERATOR, None)

    def test_after_the_funding_it_goes_on_beside_the_operator(self) -> None:
        lane = Story(facts=list(HELD)).lane
        stopped = Lane(lane.id, lane.published, lane.facts, lane.world, stopped=True)
        parties = {one.party for one in missing(b.funding_confirmed(), stopped)}
        assert parties == {Party.OPERATOR, Party.CHAIN}

    def test_a_bump_without_coins_waits_for_the_operator_until_it_is_not_needed(self) -> None:
        trouble = f.NeedsOperator(topic="bump/funding/1", reason="r", resume="r")
        story = Story(facts=[*HELD, BUILT, trouble])
        assert Party.OPERATOR in {one.party for one in missing(b.funding_broadcasted(), story.lane)}
        story.spend(b.COIN, b.FUNDING)
        assert Party.OPERATOR not in {one.party for one in missing(b.funding_broadcasted(), story.lane)}

    def test_dust_is_written_down_and_nobody_is_awaited_for_it(self) -> None:
        trouble = f.NeedsOperator(topic="dust/sweep:reclaim:entry-1", reason="r", resume="r")
        story = Story(facts=[*WON, trouble], world=dict(SPLIT_IN_CHAIN))
        assert Party.OPERATOR not in {one.party for one in missing(b.delta_broadcasted(), story.lane)}


class TestReady:
    """A single player that never compares the contract must not cost the others their seats."""

    def test_who_is_ready_is_not_dropped_for_one_who_is_not(self) -> None:
        four = b.PLAYERS[:4]
        story = Story(facts=[*b.seats(four), b.batches(), *(b.ready(e, READY) for e in four[:3])])
        story.set(wall=b.WALL + b.APPROVALS)
        following = story.step(b.awaiting_signing(roster=four))
        assert isinstance(following, s.EventCreated)
        assert following.roster == four[:3]

    def test_once_all_are_ready_whoever_does_not_approve_is_dropped(self) -> None:
        four = b.PLAYERS[:4]
        facts = [*b.seats(four), b.batches(), *(b.ready(e, READY) for e in four), *b.approvals(four[:3])]
        story = Story(facts=facts).set(wall=b.WALL + b.APPROVALS)
        following = story.step(b.awaiting_signing(roster=four))
        assert isinstance(following, s.EventCreated)
        assert following.roster == four[:3]
