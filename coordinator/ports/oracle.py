"""What the coordinator needs of an oracle: events announced, entries taken, a result attested, weather to plan with.

An oracle here ranks the entries of an event and attests the ranking. Events and picks are the types of the
terms; points are 33 bytes, scalars 32. An adapter checks shape, ids and equality with what was asked for; points,
statement and attestation are verified against the pinned oracle key by `coordinator_core.oracle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from msgspec import Struct

from coordinator.ports.faults import Rejected, Unsuitable
from coordinator_core.competition.observation import (
    CreateEvent,
    Line,
    Metric,
    Observation,
    ObservationWindow,
    ScoringRules,
)
from coordinator_core.competition.picks import Pick
from coordinator_core.units import UnixTime


class EventMissing(Rejected):
    """The oracle does not know the event."""

    code = "oracle.event_missing"


class EventRefused(Rejected):
    """A rule of the oracle forbids the event; the reason is the oracle's own sentence."""

    code = "oracle.event_refused"


class EventConflict(Rejected):
    """The oracle holds an event of this id that is not ours, or not what was asked for. Choose a new id."""

    code = "oracle.event_conflict"


class EntriesRefused(Rejected):
    """A rule of the oracle forbids the entries; the reason is the oracle's own sentence."""

    code = "oracle.entries_refused"


class EntriesConflict(Rejected):
    """The event holds other entries than those handed over. They cannot be changed any more."""

    code = "oracle.entries_conflict"


class NotAuthorized(Unsuitable):
    """The oracle does not take our signature: key not on its list, or another public address."""

    code = "oracle.not_authorized"


class ClockSkew(Unsuitable):
    """The oracle finds our signature too old or too new: one of the two clocks is wrong."""

    code = "oracle.clock_skew"


class SecretNonceServed(Unsuitable):
    """The oracle serves secret nonces: with its first attestation everyone knows its key. Refused on mainnet."""

    code = "oracle.secret_nonce"


class EventStatus(StrEnum):
    """Where an event is, as the oracle words it. Never a reason to believe or disbelieve an attestation."""

    LIVE = "Live"
    RUNNING = "Running"
    COMPLETED = "Completed"
    SIGNED = "Signed"


class SettlementBlock(Struct, frozen=True):
    """Why the oracle could not attest when it last tried."""

    code: str
    message: str
    checked_at: UnixTime

    @property
    def is_final(self) -> bool:
        """True when the oracle will not try again: plan for the expiry."""
        return "baseline" in self.code


class EntryPicks(Struct, frozen=True):
    """One entry as it is handed to the oracle."""

    id: UUID
    picks: tuple[Pick, ...]


class OracleEntry(Struct, frozen=True):
    """One entry as the oracle holds it. Scores are None until it has scored, provisional until it attests."""

    id: UUID
    picks: tuple[Pick, ...]
    """In canonical order."""
    base_score: int | None
    score: int | None


class Reading(Struct, frozen=True):
    """Forecast and observation of a pair so far; None where there is no value."""

    target: str
    metric: str
    baseline: float | None
    observed: float | None


class Announcement(Struct, frozen=True):
    """What contracts are built on. Outcome i is locking point i; the oracle attests nothing from `expiry` on."""

    nonce_point: bytes
    locking_points: tuple[bytes, ...]
    expiry: UnixTime


class AttestationReport(Struct, frozen=True):
    """What the oracle says of an event's result. The scalar is unverified."""

    event_id: UUID
    status: EventStatus
    attestation: bytes | None
    block: SettlementBlock | None
    settled_without_entries: bool


class OracleEvent(Struct, frozen=True):
    """An event as the oracle serves it."""

    id: UUID
    source: str
    window: ObservationWindow
    signing_date: UnixTime
    targets: tuple[str, ...]
    metrics: tuple[str, ...]
    values_per_entry: int
    total_allowed_entries: int
    places: int
    scoring_rules: ScoringRules
    unlisted: bool
    lines: tuple[Line, ...]
    """Sorted by (target, metric), as terms and statements have them."""
    announcement: Announcement
    entries: tuple[OracleEntry, ...]
    """Ascending id: position i is player index i."""
    readings: tuple[Reading, ...]
    statement: bytes | None
    """The signed statement as received, once all entries are in."""
    report: AttestationReport
    served_secret_nonce: bool
    """A warning: the oracle's key can be computed after its first attestation."""


class SourceMetric(Struct, frozen=True):
    """A metric that a source can score; `calibrated` means that lines exist for it."""

    metric: Metric
    calibrated: bool


class OracleSource(Struct, frozen=True):
    """A data source of the oracle."""

    id: str
    metrics: tuple[SourceMetric, ...]
    default_metrics: tuple[str, ...]


class Station(Struct, frozen=True):
    """A target that can be observed. Degrees north and east."""

    id: str
    name: str
    state: str
    latitude: float
    longitude: float


class PlanProblem(StrEnum):
    """Why an observation cannot be offered."""

    UNKNOWN_SOURCE = "unknown_source"
    UNKNOWN_METRIC = "unknown_metric"
    OTHER_RULE = "other_rule"
    UNKNOWN_TARGET = "unknown_target"
    WINDOW = "window"
    NO_FORECAST = "no_forecast"
    NO_LINE = "no_line"


class PlanFinding(Struct, frozen=True):
    """One problem, the source, metric, target or pair it is about, and the oracle's reason."""

    problem: PlanProblem
    subject: str
    reason: str


class PlanReport(Struct, frozen=True):
    """What the oracle knows now about an observation to come: a hint for planning, never a promise."""

    evaluated_at: UnixTime | None
    """The oracle's clock when it looked at forecasts; None when what precedes them was wrong already."""
    findings: tuple[PlanFinding, ...]

    @property
    def passes(self) -> bool:
        """True when nothing speaks against it."""
        return not self.findings


class Oracle(Protocol):
    """An oracle's interface. Every call ends within its own deadline; reads may be repeated, writes never are.

    Raises faults.Unreachable (the effect is unknown), faults.Rejected or one of its kinds above (nothing
    happened), faults.Unsuitable or one of its kinds above (an operator has to act), and VerificationFailed with
    fault ORACLE for answers that contradict themselves.
    """

    async def public_key(self) -> bytes:
        """The attestation key, 33 bytes with its parity, as the oracle serves it now. Compare with the terms."""
        ...

    async def sources(self) -> tuple[OracleSource, ...]:
        """The data sources events can name."""
        ...

    async def stations(self) -> tuple[Station, ...]:
        """Every target of the weather source, by ascending id."""
        ...

    async def check_plan(self, observation: Observation, rules: ScoringRules) -> PlanReport:
        """Whether targets and metrics exist, the window can be read, and every pair has forecast and line now."""
        ...

    async def create_event(self, event: CreateEvent) -> OracleEvent:
        """Announce an event. One of this id that equals what is asked for is returned as it is.

        Raises EventRefused, EventConflict.
        """
        ...

    async def get_event(self, event_id: UUID) -> OracleEvent | None:
        """An event with its entries and, once they are in, its statement; None when the oracle has none."""
        ...

    async def submit_entries(self, event_id: UUID, entries: Sequence[EntryPicks]) -> OracleEvent:
        """Hand over all entries of an event, once. Entries that are there already and equal are left as they are.

        Returns the event as it is afterwards. Raises EventMissing, EntriesRefused, EntriesConflict, EventConflict.
        """
        ...

    async def get_entries(self, event_id: UUID) -> tuple[OracleEntry, ...]:
        """The entries the oracle holds, by ascending id. Raises EventMissing."""
        ...

    async def get_attestation(self, event_id: UUID) -> AttestationReport:
        """What the oracle says of the result, without the announcement: cheap enough to poll. Raises EventMissing."""
        ...
