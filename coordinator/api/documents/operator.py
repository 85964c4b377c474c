"""What the operator's command line sends and gets."""

from __future__ import annotations

from msgspec import Struct

from coordinator.api.documents.common import Satoshi, Time
from coordinator_core.competition.budget import BudgetRow, Objection
from coordinator_core.competition.documents import Hex32
from coordinator_core.competition.draft import Draft


class DraftBody(Struct, frozen=True, forbid_unknown_fields=True):
    """A draft of terms."""

    draft: Draft


class Created(Struct, forbid_unknown_fields=True):
    """Id of the new competition."""

    id: str


class Identity(Struct, forbid_unknown_fields=True):
    """The coordinator's Nostr key."""

    nostr_public_key: Hex32


class Deposit(Struct, forbid_unknown_fields=True):
    """An address of the coordinator's wallet, and its output script."""

    script: str
    address: str


class Funds(Struct, forbid_unknown_fields=True):
    """Confirmed coins, and what Lightning can send."""

    onchain_free: Satoshi
    onchain_total: Satoshi
    lightning_outbound: Satoshi


class Moved(Struct, forbid_unknown_fields=True, rename={"from_state": "from", "to_state": "to"}):
    """A transition."""

    from_state: str | None
    to_state: str
    reason: str
    at: Time


class OpenDuty(Struct, forbid_unknown_fields=True):
    """A duty that is not done, with the last error."""

    kind: str
    id: str
    attempts: int
    error: str | None


class Log(Struct, forbid_unknown_fields=True):
    """What a competition went through, and what it waits for."""

    transitions: list[Moved]
    duties: list[OpenDuty]


class Dates(Struct, forbid_unknown_fields=True):
    """The schedule."""

    entries_close: Time
    closing_ends: Time
    funding_deadline: Time
    observation_start: Time
    observation_end: Time
    signing_date: Time
    expiry: Time


class Finding(Struct, forbid_unknown_fields=True):
    """What the oracle cannot observe as it sees it today."""

    problem: str
    subject: str
    reason: str


class BudgetTable(Struct, forbid_unknown_fields=True):
    """What a draft would cost and pay if it were published now. Amounts in satoshi, rates in sat/kWU."""

    title: str
    network: str
    targets: list[str]
    metrics: list[str]
    picks: int
    scoring: str
    entry_fee: Satoshi
    coordinator_fee: Satoshi
    fee_rate_ceiling: int
    delta: int
    minimum_entry_fee: Satoshi
    unpaused_entry_fee: Satoshi
    route_reach: int
    rows: list[BudgetRow]
    dates: Dates
    funding_deadline_height: int
    objections: list[Objection]
    findings: list[Finding]
    tip: int
    now: Time


Books = dict[str, int]
"""Satoshi by account."""
