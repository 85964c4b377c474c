"""One competition in the small world: its state, its facts and its duties, applied as the engine applies them."""

from __future__ import annotations

from dataclasses import dataclass, field

from coordinator.domain.competitions import states as s
from coordinator.domain.competitions.advance import advance
from coordinator.domain.competitions.wanted import wanted
from coordinator.domain.competitions.watching import Deadline, Watched, deadline, watched
from coordinator.domain.duties import Channel, Duty
from coordinator.domain.facts import Fact, FactBook, Outage, Published
from coordinator.domain.lane import Lane
from coordinator.domain.lane import World as Seen
from coordinator.domain.protection import moves_while_stopped, protects
from coordinator_core.competition.terms import Terms
from coordinator_core.units import Blocks, UnixTime
from tests.support import lanes as b
from tests.support.small_world.effects import perform
from tests.support.small_world.lightning import CANCEL_DELTA
from tests.support.small_world.outside import Away, Service, World
from tests.support.small_world.tasks import Result, Task

MAX_STEPS = 32
OUTAGES = {Channel.ORACLE, Channel.KEYMELD, Channel.CHAIN, Channel.LOCAL}
Edge = tuple[str, str]


@dataclass
class Row:
    """A duty as the store has it: open while it is wanted and not done."""

    duty: Duty
    open: bool = True
    done: bool = False
    run: int = 0
    pending: Result | None = None
    claimed: Task | None = None


@dataclass(frozen=True)
class Moment:
    """What was known when the competition was applied, for those who tell the story again in another order."""

    fresh: tuple[Fact, ...]
    seen: Seen
    state: str


@dataclass
class Played:
    """`history` has one moment for each application that brought facts, a step, or another world."""

    terms: Terms
    world: World
    state: s.Competition = field(default_factory=s.Created)
    facts: FactBook = field(default_factory=FactBook)
    rows: dict[str, Row] = field(default_factory=dict[str, Row])
    look: set[str] = field(default_factory=set[str])
    """Transactions and outpoints that are watched."""
    missed: set[tuple[str, int]] = field(default_factory=set[tuple[str, int]])
    """What was in the chain below the height from which its past was searched."""
    edges: list[Edge] = field(default_factory=list[Edge])
    stopped: bool = False
    history: list[Moment] = field(default_factory=list[Moment])
    fresh: list[Fact] = field(default_factory=list[Fact])
    last_settling: s.Settling | None = None
    """The state in which the last prizes were judged."""

    @property
    def lane(self) -> Lane:
        return Lane(b.LANE, self.terms if self.facts.get(Published) else None, self.facts, self.seen())

    def seen(self) -> Seen:
        """What the chain index shows of what is watched."""
        view = self.world.seen
        return Seen(
            wall=UnixTime(self.world.wall),
            now=UnixTime(self.world.now),
            tip=view.tip,
            median_time_past=view.median_time_past,
            cancel_delta=Blocks(CANCEL_DELTA),
            confirmed={t: h for t, h in view.confirmed.items() if t in self.look and (t, h) not in self.missed},
            spent={o: x for o, x in view.spent.items() if o in self.look and (o, x.height) not in self.missed},
        )

    @property
    def ended(self) -> bool:
        return isinstance(self.state, s.Ended)

    def put(self, *facts: Fact) -> bool:
        """True when anything is known that was not."""
        fresh = [fact for fact in facts if self.facts.put(fact)]
        self.fresh += fresh
        return bool(fresh)

    def apply(self) -> None:
        """To the fixpoint, again while more becomes visible on chain; then the duties that are wanted have a row."""
        self.world.look()
        if self.stopped and not moves_while_stopped(self.state):
            return
        self._advance()
        while self._watch(watched(self.state, self.lane)):
            self._advance()
        self._remember()
        self._want(wanted(self.state, self.lane))

    def _watch(self, found: Watched) -> bool:
        """What was watched once is watched for ever; its past is searched from the given height on. True when anything
        is new.
        """
        view, fresh = self.world.seen, False
        heights = {**view.confirmed, **{outpoint: spend.height for outpoint, spend in view.spent.items()}}
        for key, since in {**found.transactions, **found.outpoints}.items():
            if key not in self.look:
                fresh = True
                self.look.add(key)
                if key in heights and heights[key] < since:
                    self.missed.add((key, heights[key]))
        return fresh

    def blocks_left(self, above: int) -> None:
        """Blocks above a height left the chain: what comes in new ones is seen."""
        self.missed = {(key, height) for key, height in self.missed if height <= above}

    def _advance(self) -> None:
        lane = self.lane
        for _ in range(MAX_STEPS):
            before = str(self.state.__struct_config__.tag)
            step = advance(self.state, lane)
            if step is None:
                return
            self.state = step.state
            if isinstance(self.state, s.OutcomeBroadcasted | s.ExpiryBroadcasted | s.DeltaBroadcasted):
                self.last_settling = self.state
            self.edges.append((before, str(step.state.__struct_config__.tag)))
        raise AssertionError(f"no fixpoint after {MAX_STEPS} steps: {self.edges[-MAX_STEPS:]}")

    def _remember(self) -> None:
        now = Moment(tuple(self.fresh), self.seen(), str(self.state.__struct_config__.tag))
        if now.fresh or not self.history or now != self.history[-1]:
            self.history.append(now)
        self.fresh = []

    def _want(self, duties: tuple[Duty, ...]) -> None:
        names = {duty.id(b.LANE): duty for duty in duties}
        assert len(names) == len(duties), "one id for two duties"
        for name, row in self.rows.items():
            if name not in names:
                row.open = row.done = False
        for name, duty in names.items():
            row = self.rows.setdefault(name, Row(duty))
            if not row.open:
                row.open, row.done, row.duty = True, False, duty

    def open_rows(self) -> list[Row]:
        """Duties that may be claimed now, in the order in which they became known."""
        listed = [row for row in self.rows.values() if row.open and row.pending is None and row.claimed is None]
        return [row for row in listed if not self.stopped or protects(row.duty, self.lane)]

    def claim(self, row: Row) -> None:
        """A worker takes it, with the competition as it is now."""
        lane = Lane(b.LANE, self.lane.published, FactBook(self.facts), self.seen())
        row.claimed = Task(row.duty, self.state, lane, lambda: (self.state, self.lane), self.stopped)

    def act(self, row: Row) -> None:
        """The effect happens outside; nothing is written yet. An answer that does not come is tried again."""
        assert row.claimed is not None
        try:
            row.pending = perform(self.world, row.claimed)
        except Away as error:
            row.pending = Result(False, self._outage(row.duty, error.service))
        row.claimed = None

    def _outage(self, duty: Duty, service: Service) -> list[Fact]:
        if duty.channel not in OUTAGES:
            return []
        wall = UnixTime(self.world.wall)
        return [Outage(service=duty.channel.value, since=wall, until=UnixTime(wall + 2))]

    def commit(self, row: Row) -> bool:
        """The outcome is written, unless the duty became obsolete. True when something is new."""
        result, row.pending = row.pending, None
        if result is None or not row.open:
            return False
        if result.done:
            row.open, row.done = False, True
        return self.put(*result.facts) or result.done

    def crash(self) -> None:
        """The process is killed: what was done outside stays done, what was not written is forgotten."""
        for row in self.rows.values():
            row.claimed = row.pending = None

    def again_at(self) -> Deadline:
        return deadline(self.state, self.lane)
