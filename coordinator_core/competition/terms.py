"""The terms of a competition: fixed at creation, hashed, never changed (money sections 1, 2 and 5).

A Terms value that exists obeys every rule that needs no clock and no chain (terms_rules); what needs them
(height and date of creation, budget) is checked by schedule and budget.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from coordinator_core.competition import terms_rules
from coordinator_core.competition.documents import Hex32, Hex33, Hex48, canonical_bytes, decode_canonical
from coordinator_core.competition.observation import (
    ATTEMPTS,
    CreateEvent,
    Date,
    Observation,
    Scoring,
    create_event,
)
from coordinator_core.secp256k1 import tagged_hash
from coordinator_core.units import (
    MAX_MONEY,
    BasisPoints,
    Blocks,
    Confirmations,
    FeeRate,
    Height,
    Sats,
    Seconds,
)

TERMS_TAG: Final = "coordinator/terms/v1"

Amount = Annotated[Sats, Meta(ge=0, le=MAX_MONEY)]
Url = Annotated[str, Meta(pattern=r"\Ahttps?://[!-~]{1,240}\Z")]
Window = Annotated[Seconds, Meta(ge=1, le=86_400)]


class Network(StrEnum):
    """The chain that the contract lives on."""

    MAINNET = "mainnet"
    TESTNET4 = "testnet4"
    SIGNET = "signet"
    REGTEST = "regtest"


class Mode(StrEnum):
    """How ticket money waits for the contract: a held Lightning payment, or an escrow output on chain."""

    HOLD = "hold"
    ESCROW = "escrow"


class OracleTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The attesting key (33 bytes, with parity), its origin, and the ids of events 0 to 8 (0: lines only)."""

    public_key: Hex33
    url: Url
    event_ids: Annotated[tuple[UUID, ...], Meta(min_length=ATTEMPTS + 1, max_length=ATTEMPTS + 1)]


class EntryTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many entries are needed and how many are taken."""

    minimum: Annotated[int, Meta(ge=2, le=25)]
    maximum: Annotated[int, Meta(ge=2, le=25)]


class MoneyTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prices and prizes. `weights` are ratios, first place first; the routing allowance is taken from a
    prize.
    """

    entry_fee: Amount
    coordinator_fee_bps: Annotated[BasisPoints, Meta(ge=0, le=5_000)]
    network_fee_margin_bps: Annotated[BasisPoints, Meta(ge=0, le=50_000)]
    routing_allowance_base: Amount
    routing_allowance_ppm: Annotated[int, Meta(ge=0, le=100_000)]
    weights: Annotated[tuple[Annotated[int, Meta(ge=1, le=1_000_000)], ...], Meta(min_length=1, max_length=5)]


class ContractTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every contract of this competition has: relative delay, dearest fee rate, anchor, expiry (a
    date).
    """

    delta: Annotated[Blocks, Meta(ge=144, le=1_008)]
    fee_rate_ceiling: Annotated[FeeRate, Meta(ge=1, le=2_500_000)]
    anchor: Amount
    outcome_bound_splits: bool
    required_confirmations: Annotated[Confirmations, Meta(ge=1, le=100)]
    expiry: Date


class ClosingWindows(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds of wall clock for each part of an attempt, and of grace for the kick-off check after the
    third.
    """

    sealing: Window = Seconds(600)
    entries: Window = Seconds(300)
    approvals: Window = Seconds(600)
    signatures: Window = Seconds(300)
    kickoff_grace: Window = Seconds(3_600)

    @property
    def attempt(self) -> Seconds:
        """Seconds of one attempt."""
        return Seconds(self.sealing + self.entries + self.approvals + self.signatures)


class ScheduleTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When entries close, how long the closing's windows are, and the last height F to broadcast the
    funding.
    """

    entries_close: Date
    closing: ClosingWindows
    funding_deadline: Annotated[Height, Meta(ge=1, lt=500_000_000)]


class Pcr(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One measurement register of an attested enclave: SHA-384."""

    index: Annotated[int, Meta(ge=0, le=31)]
    value: Hex48


class KeymeldTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The signing gateway. No measurements means unattested: test networks only."""

    gateway: Url
    pcrs: Annotated[tuple[Pcr, ...], Meta(max_length=32)]


class Terms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that both sides agree to. Raises InvalidInput or Refused, naming the field, if a rule is
    broken.
    """

    version: Literal[1]
    competition_id: UUID
    title: Annotated[str, Meta(min_length=1, max_length=120)]
    network: Network
    coordinator_key: Hex32
    """X-only Nostr key that signs the receipts."""
    oracle: OracleTerms
    observation: Observation
    scoring: Scoring
    entries: EntryTerms
    money: MoneyTerms
    contract: ContractTerms
    schedule: ScheduleTerms
    keymeld: KeymeldTerms
    mode: Mode
    approvals: bool

    def __post_init__(self) -> None:
        terms_rules.check(self)

    @property
    def places(self) -> int:
        """How many places are paid, k."""
        return len(self.money.weights)

    @property
    def oracle_key(self) -> bytes:
        """The attesting key, 33 bytes."""
        return bytes.fromhex(self.oracle.public_key)

    @property
    def hash(self) -> bytes:
        """32 bytes that stand in invoice, receipts, kit and page."""
        return terms_hash(self.to_bytes())

    def to_bytes(self) -> bytes:
        """Canonical bytes: what is hashed, stored and published verbatim."""
        return canonical_bytes(self)

    def event(self, attempt: int, entries: int) -> CreateEvent:
        """The oracle event of attempt 1 to 8 with that many entries (attempt 0: the event that carries the
        lines).
        """
        return create_event(
            self.observation,
            self.oracle.event_ids,
            self.scoring.rules,
            attempt=attempt,
            entries=entries,
            places=self.places,
        )


def decode_terms(raw: bytes) -> Terms:
    """Read published terms: strict, canonical, every rule checked. Raises InvalidInput or Refused."""
    return decode_canonical(raw, Terms, "terms")


def terms_hash(canonical: bytes) -> bytes:
    """The hash of canonical terms bytes, 32 bytes: BIP340 tagged hash, tag "coordinator/terms/v1"."""
    return tagged_hash(TERMS_TAG, canonical)


def terms_schema() -> dict[str, object]:
    """JSON schema of the terms, for the API's documentation."""
    return msgspec.json.schema(Terms)
