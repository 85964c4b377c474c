"""The oracle's signed statement of an event: parsed, its signature verified, compared (oracle section 6).

It binds the nonce point, and with it every locking point, to entries, dates, targets and lines.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Final, Literal, TypeVar
from uuid import UUID

from msgspec import Meta, Struct

from coordinator_core.competition.documents import Hex33, Hex64, decode_strict
from coordinator_core.competition.observation import Observation, Scoring
from coordinator_core.competition.terms import Terms
from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, VerificationFailed
from coordinator_core.secp256k1 import parse_point, schnorr_verify, tagged_hash
from coordinator_core.units import UnixTime

STATEMENT_TAG: Final = "noaa-oracle/statement/v1"
SIGNING_SECONDS: Final = 86_400
"""The oracle signs up to a day after the signing date; then its own expiry is reached."""

T = TypeVar("T")
I64 = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
U32 = Annotated[int, Meta(ge=0, lt=1 << 32)]
Text = Annotated[str, Meta(max_length=1_000)]


class RankingOutcomes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Outcomes are rankings of these entries, by ascending id."""

    kind: Literal["ranking"]
    number_of_places_win: U32
    entry_ids: Annotated[tuple[UUID, ...], Meta(max_length=1_000)]


class StatedLine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line as the oracle states it; the bounds are the oracle's doubles."""

    target: Text
    metric: Text
    lower: float
    upper: float
    window_hours: U32


class ObservationTerms(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is observed, as the oracle states it."""

    kind: Literal["observation"]
    source: Text
    start_observation_date: I64
    end_observation_date: I64
    targets: Annotated[tuple[Text, ...], Meta(max_length=1_000)]
    scoring_fields: Annotated[tuple[Text, ...], Meta(max_length=1_000)]
    number_of_values_per_entry: U32
    scoring_rules: Literal["fixed", "lines"]
    lines: Annotated[tuple[StatedLine, ...], Meta(max_length=1_000)]


class EventStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything the oracle commits to for one event. Dates are UNIX seconds."""

    event_id: UUID
    signing_date: I64
    expiry: U32
    nonce_point: Hex33
    outcomes: RankingOutcomes
    terms: ObservationTerms

    @property
    def nonce(self) -> bytes:
        """The nonce point, 33 bytes."""
        return bytes.fromhex(self.nonce_point)


class SignedStatement(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A statement with the oracle's signature."""

    statement: EventStatement
    signature: Hex64


def parse_statement(raw: bytes) -> SignedStatement:
    """Read a statement as it was received. Unknown kinds and members are refused. Raises InvalidInput."""
    signed = decode_strict(raw, SignedStatement, "statement")
    for index, line in enumerate(signed.statement.terms.lines):
        if not (math.isfinite(line.lower) and math.isfinite(line.upper)):
            raise InvalidInput(f"statement.terms.lines[{index}]", "has an infinite bound", "finite numbers")
    parse_point(signed.statement.nonce, field="statement.nonce_point")
    return signed


def statement_message(statement: EventStatement) -> bytes:
    """The bytes that are signed: fixed order, big-endian, strings and lists with a 16-bit length."""
    observed = statement.terms
    return b"".join(
        (
            statement.event_id.bytes,
            struct.pack(">qI", statement.signing_date, statement.expiry),
            statement.nonce,
            _text(statement.outcomes.kind),
            struct.pack(">I", statement.outcomes.number_of_places_win),
            _list(statement.outcomes.entry_ids, lambda entry_id: entry_id.bytes),
            _text(observed.kind),
            _text(observed.source),
            struct.pack(">qq", observed.start_observation_date, observed.end_observation_date),
            _list(observed.targets, _text),
            _list(observed.scoring_fields, _text),
            struct.pack(">I", observed.number_of_values_per_entry),
            _text(observed.scoring_rules),
            _list(observed.lines, _line),
        )
    )


def statement_digest(statement: EventStatement) -> bytes:
    """The tagged hash of the message, 32 bytes."""
    return tagged_hash(STATEMENT_TAG, statement_message(statement))


def verify_statement(
    signed: SignedStatement, terms: Terms, *, attempt: int, entry_ids: Sequence[UUID], nonce_point: bytes
) -> EventStatement:
    """The statement, once the terms' oracle signed it and it says what terms, attempt and roster say.

    `entry_ids` is the roster in any order, `nonce_point` the announced one. Raises InvalidSignature, or
    VerificationFailed naming the first member that differs; both at the oracle's fault.
    """
    statement = signed.statement
    if not schnorr_verify(bytes.fromhex(signed.signature), statement_digest(statement), terms.oracle_key[1:]):
        raise InvalidSignature("statement", fault=Fault.ORACLE)
    event_id, signing_date = terms.oracle.event_ids[attempt], terms.observation.signing_date
    _compare(
        "statement",
        (
            ("event_id", statement.event_id, event_id),
            ("signing_date", statement.signing_date, signing_date),
            ("expiry", statement.expiry, UnixTime(signing_date + SIGNING_SECONDS)),
            ("nonce_point", statement.nonce, nonce_point),
            ("number_of_places_win", statement.outcomes.number_of_places_win, terms.places),
            ("entry_ids", statement.outcomes.entry_ids, tuple(sorted(entry_ids))),
            ("scoring_rules", statement.terms.scoring_rules, terms.scoring.rules.value),
        ),
    )
    _compare_observation(statement.terms, terms.observation, terms.scoring)
    return statement


def _compare_observation(stated: ObservationTerms, wanted: Observation, scoring: Scoring) -> None:
    lines = [(line.target, line.metric, line.lower, line.upper, line.window_hours) for line in stated.lines]
    wanted_lines = [
        (line.target, line.metric, float(line.lower), float(line.upper), line.window_hours) for line in scoring.lines
    ]
    _compare(
        "statement.terms",
        (
            ("source", stated.source, wanted.source.id),
            ("start_observation_date", stated.start_observation_date, wanted.window.start),
            ("end_observation_date", stated.end_observation_date, wanted.window.end),
            ("targets", stated.targets, wanted.targets),
            ("scoring_fields", stated.scoring_fields, tuple(metric.id for metric in wanted.metrics)),
            ("number_of_values_per_entry", stated.number_of_values_per_entry, wanted.values_per_entry),
            ("lines", lines, wanted_lines),
        ),
    )


def _compare(path: str, pairs: Iterable[tuple[str, object, object]]) -> None:
    for name, stated, wanted in pairs:
        if stated != wanted:
            raise VerificationFailed(f"{path}.{name}", "is not that of the terms and roster", fault=Fault.ORACLE)


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2, "big") + data


def _list(values: Sequence[T], encode: Callable[[T], bytes]) -> bytes:
    return len(values).to_bytes(2, "big") + b"".join(encode(value) for value in values)


def _line(line: StatedLine) -> bytes:
    return _text(line.target) + _text(line.metric) + struct.pack(">ddI", line.lower, line.upper, line.window_hours)
