"""The signed statement of an event: canonical bytes, digest, JSON (noaa-oracle 2.x, signed statement)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from coordinator.embedded.oracle.key import OracleKey
from coordinator.embedded.oracle.lines import Line
from coordinator.embedded.oracle.records import Event
from coordinator_core.secp256k1 import tagged_hash

TAG = "noaa-oracle/statement/v1"


class StatedLine(Struct, frozen=True):
    """The part of a line that is signed."""

    target: str
    metric: str
    lower: float
    upper: float
    window_hours: int


class RankingOutcomes(Struct, frozen=True, tag_field="kind", tag="ranking"):
    """Which outcomes there are."""

    number_of_places_win: int
    entry_ids: tuple[UUID, ...]


class ObservationTerms(Struct, frozen=True, tag_field="kind", tag="observation"):
    """What decides between them."""

    source: str
    start_observation_date: int
    end_observation_date: int
    targets: tuple[str, ...]
    scoring_fields: tuple[str, ...]
    number_of_values_per_entry: int
    scoring_rules: str
    lines: tuple[StatedLine, ...]


class Statement(Struct, frozen=True):
    """Everything that is signed, in the shape that is served."""

    event_id: UUID
    signing_date: int
    expiry: int
    nonce_point: str
    outcomes: RankingOutcomes
    terms: ObservationTerms


class SignedStatement(Struct, frozen=True):
    """A statement with its BIP340 signature in hex."""

    statement: Statement
    signature: str


def sign_event(event: Event, entry_ids: Sequence[UUID], key: OracleKey) -> SignedStatement:
    """The statement of an event whose entries are all in; `entry_ids` ascending."""
    statement = Statement(
        event_id=event.id,
        signing_date=event.signing_date,
        expiry=event.expiry,
        nonce_point=event.nonce.point.hex(),
        outcomes=RankingOutcomes(event.places, tuple(entry_ids)),
        terms=ObservationTerms(
            source=event.source,
            start_observation_date=event.start,
            end_observation_date=event.end,
            targets=event.locations,
            scoring_fields=event.metrics,
            number_of_values_per_entry=event.values_per_entry,
            scoring_rules=event.scoring_rules,
            lines=_stated(event.lines),
        ),
    )
    return SignedStatement(statement, key.sign_statement(digest(statement)).hex())


def digest(statement: Statement) -> bytes:
    """The 32 bytes that are signed."""
    return tagged_hash(TAG, canonical_bytes(statement))


def canonical_bytes(statement: Statement) -> bytes:
    """All fields in order: integers big-endian, strings and lists with a 16-bit length."""
    outcomes, terms = statement.outcomes, statement.terms
    return b"".join(
        (
            statement.event_id.bytes,
            struct.pack(">qI", statement.signing_date, statement.expiry),
            bytes.fromhex(statement.nonce_point),
            _text("ranking"),
            struct.pack(">IH", outcomes.number_of_places_win, len(outcomes.entry_ids)),
            *(entry_id.bytes for entry_id in outcomes.entry_ids),
            _text("observation"),
            _text(terms.source),
            struct.pack(">qq", terms.start_observation_date, terms.end_observation_date),
            _texts(terms.targets),
            _texts(terms.scoring_fields),
            struct.pack(">I", terms.number_of_values_per_entry),
            _text(terms.scoring_rules),
            struct.pack(">H", len(terms.lines)),
            *(
                _text(line.target) + _text(line.metric) + struct.pack(">ddI", line.lower, line.upper, line.window_hours)
                for line in terms.lines
            ),
        )
    )


def _stated(lines: Sequence[Line]) -> tuple[StatedLine, ...]:
    ordered = sorted(lines, key=lambda line: (line.target, line.metric))
    return tuple(StatedLine(line.target, line.metric, line.lower, line.upper, line.window_hours) for line in ordered)


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def _texts(values: Sequence[str]) -> bytes:
    return struct.pack(">H", len(values)) + b"".join(map(_text, values))
