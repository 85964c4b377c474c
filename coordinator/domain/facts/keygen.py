"""An attempt of the closing up to its keys: oracle event, session, sealed keys, roster."""

from __future__ import annotations

from typing import ClassVar

from coordinator.domain.facts.base import AttemptFact, Fact
from coordinator_core.units import Height, UnixTime


class PlanningChecked(Fact, frozen=True, kw_only=True, tag="planning_checked"):
    """The oracle can assess every target and metric of the terms."""


class HoldsRead(AttemptFact, frozen=True, kw_only=True, tag="holds_read"):
    """Every hold of the roster was read again before an irrevocable step. Attempt 0 is the start of the closing."""

    repeatable: ClassVar[bool] = True
    at_height: Height
    least_left: int
    """Blocks left on the shortest hold; negative when one is lost."""
    lost: tuple[str, ...] = ()
    """Entry ids whose hold is gone or too short."""


class OracleEvent(AttemptFact, frozen=True, kw_only=True, tag="oracle_event"):
    """The oracle's event of an attempt, verified against terms, number of entries and dates."""

    event_id: str
    nonce_point: str
    entries: int


class Queued(AttemptFact, frozen=True, kw_only=True, tag="queued"):
    """Too many competitions were in their closing when this one's attempt could begin: it waits for its turn."""

    since: UnixTime


class SessionOpen(AttemptFact, frozen=True, kw_only=True, tag="session_open"):
    """A keymeld session that was reserved and initialized, our own key registered."""

    session_id: str
    user_id: str
    manifest: str
    """The signed manifest as JSON."""
    recipients: str
    """The enclave recipients authorization as JSON."""
    epochs: tuple[tuple[int, int], ...]
    """(enclave id, key epoch) as pinned for the attempt."""
    registration: str
    """Our own sealed registration as JSON."""
    opened_at: UnixTime
    roster: tuple[str, ...]


class Seal(AttemptFact, frozen=True, kw_only=True, tag="seal"):
    """A player sealed its entry key of this attempt and opened its picks."""

    entry_id: str
    registration: str
    """The registration authorization as JSON."""
    ciphertext: str
    public_key: str
    auth_public_key: str
    salt: str
    picks: str
    at: UnixTime

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}"


class Registered(AttemptFact, frozen=True, kw_only=True, tag="registered"):
    """keymeld took a player's registration, or refused it (`refusal` says why)."""

    entry_id: str
    refusal: str | None = None

    @property
    def key(self) -> str:
        return f"{self.attempt}/{self.entry_id}"


class Keygen(AttemptFact, frozen=True, kw_only=True, tag="keygen"):
    """Keygen is complete: roster and every aggregate were recomputed and equal."""

    roster: str
    """The signed participant roster as JSON (public keys and signatures only)."""
    encrypted_session_secrets: tuple[tuple[str, str], ...] = ()
    """(entry id, NIP-44 ciphertext) for each player."""


class EntriesPosted(AttemptFact, frozen=True, kw_only=True, tag="entries_posted"):
    """Entries stand at the oracle; the event's signed statement equals roster and terms."""

    statement: str
    scores_shown: bool = False


class AttemptFault(AttemptFact, frozen=True, kw_only=True, tag="attempt_fault"):
    """keymeld failed this attempt for good: lost state, new epoch, no spare session left. Nobody is dropped for it."""

    reason: str
