"""What the store keeps of an event and its entries."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from msgspec import Struct

from coordinator.embedded.oracle.dates import DAY
from coordinator.embedded.oracle.key import Nonce
from coordinator.embedded.oracle.lines import Line
from coordinator.embedded.oracle.metrics import METRICS, SOURCE
from coordinator.embedded.oracle.scoring import Pick, Reading, Rule
from coordinator.embedded.oracle.weather import Window

Status = Literal["Live", "Running", "Completed", "Signed"]
ScoringRules = Literal["fixed", "lines"]

EXPIRY_AFTER_SIGNING = DAY


class Event(Struct, frozen=True):
    """The part of an event that never changes. Dates are UNIX seconds."""

    id: UUID
    signing_date: int
    start: int
    end: int
    locations: tuple[str, ...]
    metrics: tuple[str, ...]
    values_per_entry: int
    allowed_entries: int
    places: int
    coordinator: bytes
    """The creator's Nostr key, 32 bytes."""
    unlisted: bool
    scoring_rules: ScoringRules
    lines: tuple[Line, ...]
    nonce: Nonce
    source: str = SOURCE

    @property
    def expiry(self) -> int:
        """From here on the event is never attested."""
        return self.signing_date + EXPIRY_AFTER_SIGNING

    @property
    def window(self) -> Window:
        """The observation window."""
        return Window(self.start, self.end)

    def rule(self, target: str, metric: str) -> Rule | None:
        """How a pick is scored, None when the event does not score it."""
        if metric not in self.metrics:
            return None
        if self.scoring_rules == "fixed":
            return METRICS[metric].par
        for line in self.lines:
            if (line.target, line.metric) == (target, metric):
                return line.band
        return None


class SettlementBlock(Struct, frozen=True):
    """Why an event could not be attested when it was last tried."""

    code: str
    message: str
    checked_at: int
    failures: int = 1

    @property
    def is_final(self) -> bool:
        """True when trying again cannot help."""
        return self.code == "baseline_unavailable"


class Progress(Struct, frozen=True):
    """The part of an event that changes."""

    readings: tuple[Reading, ...] = ()
    refreshed_at: int | None = None
    block: SettlementBlock | None = None
    attestation: bytes | None = None
    settled_without_entries_at: int | None = None
    total_entries: int = 0

    def status(self, event: Event, now: int) -> Status:
        """The status word that is served."""
        if self.attestation is not None:
            return "Signed"
        if now < event.start:
            return "Live"
        return "Running" if now < event.end else "Completed"


class Entry(Struct, frozen=True):
    """One entry with its picks and, once scored, its points."""

    id: UUID
    event_id: UUID
    picks: tuple[Pick, ...]
    score: int | None = None
    base_score: int | None = None
