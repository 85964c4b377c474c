"""Public reads of competitions."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from coordinator.api.documents.common import Attempt, EntryId, Json, Satoshi, StateName, Time, TxId
from coordinator.domain.competitions.awaited import Clock, Party, Phase
from coordinator.engine.dependencies import Dependency
from coordinator.engine.health import Status
from coordinator.engine.new_money import COORDINATOR, OPERATOR
from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.picks import Pick
from coordinator_core.nostr.event import Event


class Summary(Struct, kw_only=True, forbid_unknown_fields=True):
    """One line of the list. Amounts and numbers of players are null before the terms are final."""

    id: EntryId
    title: str
    state: StateName
    step: int | None
    """Of the seven steps; null beside them: returning, cancelled, failed."""
    players: int
    minimum: int | None
    maximum: int | None
    entry_fee: Satoshi | None
    closes_at: Time | None


class Awaited(Struct, forbid_unknown_fields=True):
    """Who is awaited, what for, and until when."""

    who: Annotated[str, Meta(extra_json_schema={"enum": [*Party]})]
    entry_id: EntryId | None
    """Which player; null for a service, and for whoever wants to."""
    phase: Annotated[str, Meta(extra_json_schema={"enum": [*Phase]})]
    what: str
    """The phase in words that follow "waits for ... to"."""
    until: int | None
    """Seconds since 1970 of the clock, or a height; null for what is done as soon as it can be."""
    clock: Annotated[str | None, Meta(extra_json_schema={"enum": [*Clock, None]})]
    """`wall`; `domain`, which dates of the terms follow; `median` time past; `height`."""


class Transaction(Struct, forbid_unknown_fields=True):
    """A transaction of the competition; `height` is null while it is not in the chain."""

    role: str
    txid: TxId
    height: int | None


class Paused(Struct, forbid_unknown_fields=True):
    """Why no ticket is sold now: a service that is away since then (wall clock), the operator, the coordinator
    itself, or fees."""

    dependency: Annotated[str, Meta(extra_json_schema={"enum": [*Dependency, OPERATOR, COORDINATOR]})]
    reason: str
    since: Time | None
    """Null for fees: they are what they are now."""


class Away(Struct, forbid_unknown_fields=True):
    """A service that does not answer, since then (wall clock): new money pauses."""

    dependency: Annotated[str, Meta(extra_json_schema={"enum": [*Dependency]})]
    since: Time
    reason: str


class Detail(Summary, kw_only=True, forbid_unknown_fields=True):
    """Everything public of one competition."""

    reason: str | None
    """Why it was cancelled, failed, or is giving everything back."""
    terms_hash: Hex32 | None
    attempt: Attempt | None
    waiting_for: list[Awaited]
    paused: list[Paused]
    """Empty while tickets are sold, and once entries are closed."""
    transactions: list[Transaction]
    outcome: int | None
    """Index of the attested outcome."""
    tip: int
    now: Time
    """The domain clock, which dates of the terms follow."""


class Opened(Struct, forbid_unknown_fields=True):
    """Picks as opened in the newest attempt in which the entry was sealed."""

    attempt: Attempt
    salt: Hex32
    picks: list[Pick]


class SignedEntry(Struct, forbid_unknown_fields=True):
    """An entry that its player signed."""

    entry_id: EntryId
    player: Hex32 | None
    """Its Nostr key."""
    event: Event
    opened: Opened | None


class ContractView(Struct, forbid_unknown_fields=True):
    """The pinned contract of the newest attempt."""

    attempt: Attempt
    parameters: Json
    """dlctix's ContractParameters."""
    outpoint: str
    """"txid:vout" of the funding."""
    event_id: str | None
    statement: str | None
    """The oracle's signed statement, byte for byte."""


class Freeze(Struct, forbid_unknown_fields=True):
    """No new money comes in, or nothing new is taken on."""

    reason: str
    since: Time
    by: Annotated[str, Meta(extra_json_schema={"enum": [OPERATOR, COORDINATOR]})]
    """Who said so: an operator, or the coordinator by a rule of its own."""


class ChainStatus(Struct, forbid_unknown_fields=True):
    """Chain and clocks as the engine sees them."""

    tip: int
    tip_hash: Hex32
    now: Time
    wall: Time
    away: list[Away]
    health: Status
    chain_lag: int | None
    """Blocks of the node that the engine has not seen yet; null while unknown."""
    competitions: dict[str, int] | None
    """By state; null while they cannot be counted."""
    frozen: Freeze | None
    """Why an operator, or a rule of the coordinator's own, lets no new money in."""
    settle_only: Freeze | None
    """Why nothing new is taken on: what is owed is settled, nothing else."""
    reconciled: bool
    """Whether database, chain and Lightning were compared since the start: no money moves before."""
