"""All facts of one competition: by kind and key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar, cast

from coordinator.domain.facts.attendance import Attended, Missed
from coordinator.domain.facts.base import Fact
from coordinator.domain.facts.debts import Owed
from coordinator.domain.facts.keygen import (
    AttemptFault,
    EntriesPosted,
    HoldsRead,
    Keygen,
    OracleEvent,
    PlanningChecked,
    Queued,
    Registered,
    Seal,
    SessionOpen,
)
from coordinator.domain.facts.onchain import (
    Attested,
    BelowFloor,
    Built,
    Bumped,
    CoinsReleased,
    FeeCoinsReleased,
    HoldsDecided,
    Sent,
)
from coordinator.domain.facts.outages import Outage
from coordinator.domain.facts.payouts import EntryKeyHeld, Payout, PreimageHeld
from coordinator.domain.facts.people import CancelAsked, NeedsOperator, Notified
from coordinator.domain.facts.signing import (
    Approval,
    ApprovalSpent,
    BatchesOpen,
    BatchHung,
    BatchSigned,
    ContractSigned,
    Forwarded,
    KickOffHeld,
    Pinned,
    Ready,
    SpareOpen,
)
from coordinator.domain.facts.tickets import Drafted, Entry, Invoice, Published, Ticket

AnyFact = (
    Drafted
    | Published
    | Ticket
    | Entry
    | Invoice
    | PlanningChecked
    | HoldsRead
    | OracleEvent
    | Queued
    | SessionOpen
    | Seal
    | Registered
    | Keygen
    | EntriesPosted
    | Pinned
    | BatchesOpen
    | SpareOpen
    | BatchHung
    | Ready
    | Approval
    | Forwarded
    | ApprovalSpent
    | BatchSigned
    | ContractSigned
    | AttemptFault
    | KickOffHeld
    | CoinsReleased
    | Built
    | BelowFloor
    | Bumped
    | FeeCoinsReleased
    | HoldsDecided
    | Sent
    | Attested
    | Outage
    | Payout
    | PreimageHeld
    | EntryKeyHeld
    | Owed
    | Attended
    | Missed
    | Notified
    | CancelAsked
    | NeedsOperator
)

F = TypeVar("F", bound=Fact)


class FactBook:
    """The facts of one competition, by kind and key. `put` says whether anything changed."""

    __slots__ = ("_by_kind", "changed")

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        self._by_kind: dict[str, dict[str, Fact]] = {}
        self.changed: dict[tuple[str, str], Fact] = {}
        for fact in facts:
            self._by_kind.setdefault(fact.kind(), {})[fact.key] = fact

    def put(self, fact: Fact) -> bool:
        """Upsert. A fact that is not repeatable stays as it was first written, and one of a higher rank stands against
        one of a lower. True when the book changed.
        """
        known = self._by_kind.setdefault(fact.kind(), {})
        old = known.get(fact.key)
        if old == fact or (old is not None and not (fact.repeatable and fact.rank >= old.rank)):
            return False
        known[fact.key] = fact
        self.changed[(fact.kind(), fact.key)] = fact
        return True

    def get(self, kind: type[F], key: str | int = "") -> F | None:
        """The fact of a kind under a key, or None."""
        return cast("F | None", self._by_kind.get(kind.kind(), {}).get(str(key)))

    def all(self, kind: type[F]) -> tuple[F, ...]:
        """All facts of a kind, ordered by key."""
        known: Mapping[str, Fact] = self._by_kind.get(kind.kind(), {})
        return tuple(cast(F, known[key]) for key in sorted(known))

    def of_attempt(self, kind: type[F], attempt: int) -> tuple[F, ...]:
        """All facts of a kind that belong to an attempt, ordered by key."""
        known = self._by_kind.get(kind.kind(), {})
        chosen = sorted(key for key, fact in known.items() if getattr(fact, "attempt", None) == attempt)
        return tuple(cast(F, known[key]) for key in chosen)

    def __iter__(self) -> Iterator[Fact]:
        for kind in sorted(self._by_kind):
            yield from self._by_kind[kind].values()
