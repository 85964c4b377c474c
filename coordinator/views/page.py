"""Everything the pages show, with texts and numbers prepared: templates only lay it out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from coordinator.domain.competitions import bumping, debts
from coordinator.domain.competitions.paid_out import attempt_of
from coordinator.domain.competitions.states import (
    Cancelled,
    CollectingEntries,
    Competition,
    Completed,
    EntriesSubmitted,
    Failed,
    Returning,
)
from coordinator.domain.facts import Drafted, KickOffHeld, NeedsOperator, Sent
from coordinator.domain.lane import Lane
from coordinator.engine.new_money import NewMoney
from coordinator.views.competition import STEPS, tag, transactions
from coordinator.views.contracts import Row, contract_facts, oracle_facts, signer_facts
from coordinator.views.moments import Moment, moment
from coordinator.views.participants import Awaited, EntryRow, Player, awaited, entry_rows, player_of, returned
from coordinator.views.prices import Price, Prizes, price, prize_table
from coordinator.views.results import Result, result
from coordinator.views.rosters import roster_of
from coordinator.views.words import BESIDE, STATES, STEP_NAMES, counted, role, role_rank, sats, spending
from coordinator_core.competition.observation import ScoringRules
from coordinator_core.competition.schedule import date_of, end_of_closing
from coordinator_core.competition.terms import Terms
from coordinator_core.units import Height

SHOWN_LINES = 40
_DONE = 7
_CLOSING_STEPS = (2, 3, 4)
_CLOCK_GAP_SECONDS = 3_600


class Progress(StrEnum):
    """Where a step stands."""

    DONE = "completed"
    CURRENT = "current"
    TO_COME = "to come"


@dataclass(frozen=True, slots=True)
class Step:
    """One of the seven steps."""

    name: str
    progress: Progress


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list."""

    id: str
    title: str
    status: str
    tone: str
    players: str
    price: str
    closes: Moment | None


@dataclass(frozen=True, slots=True)
class Date:
    """A date of the competition. `note` says what hangs on it."""

    label: str
    at: Moment
    note: str = ""


@dataclass(frozen=True, slots=True)
class TransactionRow:
    """One transaction in words."""

    role: str
    txid: str
    where: str


@dataclass(frozen=True, slots=True)
class Predicted:
    """What is predicted, and how it is scored."""

    targets: tuple[str, ...]
    metrics: tuple[str, ...]
    picks: str
    scoring: str
    lines: tuple[tuple[str, str, str], ...]
    more_lines: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What the terms fix and everyone may read before paying."""

    hash: str
    price: Price
    prizes: Prizes | None
    """None without a contract: there is nothing to win."""
    dates: tuple[Date, ...]
    predicted: Predicted
    signer: tuple[Row, ...]
    oracle: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Detail:
    """One competition."""

    summary: Summary
    steps: tuple[Step, ...]
    attempt: int | None
    now: str
    you: str
    reason: str | None
    notices: tuple[str, ...]
    ended: bool
    """True when nothing on the page will change any more."""
    clock: Moment | None
    """The competition's clock, where it is not the world's."""
    awaited: tuple[Awaited, ...]
    entries: tuple[EntryRow, ...]
    transactions: tuple[TransactionRow, ...]
    contract: tuple[Row, ...]
    result: Result | None
    winners: dict[str, Player]
    offer: Offer | None

    @property
    def announcement(self) -> str:
        """What a screen reader hears when the state changes."""
        return f"{self.summary.status}. {self.now}"


def summary(state: Competition, lane: Lane) -> Summary:
    """One line of the list."""
    drafted = lane.facts.get(Drafted)
    terms, name = lane.published, tag(state)
    step = STEPS.get(name)
    return Summary(
        id=lane.id,
        title=terms.title if terms is not None else "A competition in preparation",
        status=BESIDE.get(name) or STEP_NAMES[(step or 1) - 1],
        tone=_tone(name, step),
        players=_players(len(roster_of(state, lane)), terms),
        price=sats(terms.money.entry_fee) if terms is not None else "not fixed yet",
        closes=moment(drafted.closes_at, lane.world.now) if drafted is not None else None,
    )


def _tone(name: str, step: int | None) -> str:
    if step is None:
        return "aside"
    if name == "created" or step == _DONE:
        return "ended"
    return "open" if step == 1 else "running"


def _players(count: int, terms: Terms | None) -> str:
    if terms is None:
        return str(count)
    return f"{count} of {terms.entries.maximum}, at\N{NO-BREAK SPACE}least\N{NO-BREAK SPACE}{terms.entries.minimum}"


def detail(state: Competition, lane: Lane, money: NewMoney) -> Detail:
    """One competition. `money` prices a ticket sold now, or says why none is."""
    words = STATES[tag(state)]
    shown = result(state, lane)
    return Detail(
        summary=summary(state, lane),
        steps=_steps(STEPS.get(tag(state))),
        attempt=attempt_of(state, lane) if STEPS.get(tag(state)) in _CLOSING_STEPS else None,
        now=words.now,
        you=words.you,
        reason=getattr(state, "reason", None),
        notices=tuple(_notices(state, lane)),
        ended=_has_ended(state, lane, shown),
        clock=_clock(lane),
        awaited=awaited(state, lane),
        entries=entry_rows(state, lane),
        transactions=tuple(_transactions(state, lane)),
        contract=contract_facts(state, lane),
        result=shown,
        winners={won.entry_id: player_of(lane, won.entry_id) for won in shown.prizes} if shown is not None else {},
        offer=_offer(state, lane, money) if lane.published is not None else None,
    )


def _has_ended(state: Competition, lane: Lane, shown: Result | None) -> bool:
    if isinstance(state, Completed):
        return shown is not None and all(won.settled for won in shown.prizes)
    # What is owed is still to be paid back: the page goes on showing it as it is.
    return isinstance(state, Cancelled | Failed) and not debts.total(lane)


def needs_market(state: Competition) -> bool:
    """True while tickets are priced by today's fees."""
    return isinstance(state, CollectingEntries)


def _steps(current: int | None) -> tuple[Step, ...]:
    def progress(number: int) -> Progress:
        if current is not None and (number < current or current == _DONE):
            return Progress.DONE
        return Progress.CURRENT if number == current else Progress.TO_COME

    return tuple(Step(name, progress(number)) for number, name in enumerate(STEP_NAMES, start=1))


def _notices(state: Competition, lane: Lane) -> list[str]:
    trouble = (fact for fact in lane.facts.all(NeedsOperator) if not bumping.is_over(lane, fact))
    notices = [f"An operator has to look at this: {fact.reason}" for fact in trouble]
    if isinstance(state, EntriesSubmitted):
        held = lane.facts.get(KickOffHeld, state.attempt)
        notices += [f"The start is held back: {held.reason}"] if held is not None else []
    if isinstance(state, Returning | Cancelled | Failed) and (sentence := returned(lane)) is not None:
        notices.append(sentence)
    return notices


def _clock(lane: Lane) -> Moment | None:
    world = lane.world
    return moment(world.now, world.now) if abs(world.wall - world.now) > _CLOCK_GAP_SECONDS else None


def _transactions(state: Competition, lane: Lane) -> list[TransactionRow]:
    listed = sorted(transactions(state, lane), key=_chain_order)
    known = {fact.txid: role(fact.role) for fact in lane.facts.all(Sent)}
    rows: list[TransactionRow] = []
    for item in listed:
        height = item["height"]
        where = "waits for a block"
        if isinstance(height, int):
            where = f"block {height:,} ({counted(max(0, lane.world.tip - height + 1), 'confirmation')})"
        rows.append(TransactionRow(spending(str(item["role"]), known), str(item["txid"]), where))
    return rows


def _chain_order(item: Mapping[str, object]) -> tuple[bool, int, int]:
    height = item["height"]
    return height is None, height if isinstance(height, int) else 0, role_rank(str(item["role"]))


def _offer(state: Competition, lane: Lane, money: NewMoney) -> Offer:
    return Offer(
        hash=lane.terms.hash.hex(),
        price=price(state, lane, money),
        prizes=None if isinstance(state, Returning | Cancelled | Failed) else prize_table(state, lane),
        dates=tuple(_dates(state, lane)),
        predicted=_predicted(lane.terms),
        signer=signer_facts(lane),
        oracle=oracle_facts(state, lane),
    )


def _dates(state: Competition, lane: Lane) -> Iterator[Date]:
    terms, now, tip = lane.terms, lane.world.now, lane.world.tip
    window, deadline = terms.observation.window, terms.schedule.funding_deadline
    yield Date(
        "Entries close", moment(terms.schedule.entries_close, now), "the appointment: players' clients come back"
    )
    if (STEPS.get(tag(state)) or _DONE) <= max(_CLOSING_STEPS):
        yield Date("End of the closing", moment(end_of_closing(terms.schedule), now), "no contract: tickets go back")
        expected = date_of(Height(deadline), tip, now)
        yield Date("Funding deadline", moment(expected, now), f"expected; block {deadline:,} counts")
    yield Date("Observation starts", moment(window.start, now))
    yield Date("Observation ends", moment(window.end, now))
    yield Date("Oracle signs", moment(terms.observation.signing_date, now))
    yield Date("Contract expires", moment(terms.contract.expiry, now), "if the oracle stays silent: stakes go back")


def _predicted(terms: Terms) -> Predicted:
    observation, lines = terms.observation, terms.scoring.lines
    scoring = "10 points for Over, 20 for Par, 10 for Under, against the forecast"
    if terms.scoring.rules is ScoringRules.LINES:
        scoring = "10 points for the right one of Over, Par and Under, against the lines below"
    return Predicted(
        targets=observation.targets,
        metrics=tuple(metric.id for metric in observation.metrics),
        picks=f"{counted(observation.values_per_entry, 'pick')}, each Over, Par or Under",
        scoring=scoring,
        lines=tuple((line.target, line.metric, f"{line.lower} to {line.upper}") for line in lines[:SHOWN_LINES]),
        more_lines=max(0, len(lines) - SHOWN_LINES),
    )
