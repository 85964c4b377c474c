"""What an operator writes to create a competition, and how it becomes terms: defaults filled in,
dates and F fixed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from coordinator_core.competition.documents import convert_strict
from coordinator_core.competition.observation import (
    CreateEvent,
    DataSource,
    Line,
    Metric,
    Name,
    Observation,
    ObservationWindow,
    Rule,
    Scoring,
    ScoringRules,
    Target,
    create_event,
)
from coordinator_core.competition.schedule import end_of_closing, funding_deadline
from coordinator_core.competition.terms import (
    Amount,
    ClosingWindows,
    ContractTerms,
    EntryTerms,
    KeymeldTerms,
    Mode,
    MoneyTerms,
    Network,
    OracleTerms,
    Pcr,
    ScheduleTerms,
    Terms,
)
from coordinator_core.competition.terms_rules import (
    ANCHOR,
    EXPIRY_AFTER_SIGNING,
    MAINNET_CONFIRMATIONS,
    TEST_CONFIRMATIONS,
)
from coordinator_core.errors import InvalidInput
from coordinator_core.units import BasisPoints, Blocks, Confirmations, FeeRate, Height, Sats, UnixTime

Moment = Annotated[datetime, Meta(tz=True)]

NOAA_METRICS: Final = {
    metric.id: metric
    for metric in (
        Metric(id="temp_high", rule=Rule.ROUNDED, tolerance=None),
        Metric(id="temp_low", rule=Rule.ROUNDED, tolerance=None),
        Metric(id="wind_speed", rule=Rule.EXACT, tolerance=None),
        Metric(id="wind_direction", rule=Rule.COMPASS, tolerance="22.0"),
        Metric(id="rain_amt", rule=Rule.WITHIN, tolerance="0.1"),
        Metric(id="snow_amt", rule=Rule.WITHIN, tolerance="0.5"),
        Metric(id="humidity", rule=Rule.WITHIN, tolerance="5.0"),
    )
}
"""Metrics of the weather source and their fixed rules (oracle section 5.3)."""
MAINNET_DELTA: Final = Blocks(288)
TEST_DELTA: Final = Blocks(144)


class Draft(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An operator's file. Dates carry a time zone; amounts are in sat, the ceiling in sat/kWU."""

    title: str
    network: Network
    targets: tuple[Target, ...]
    metrics: tuple[Name, ...]
    values_per_entry: int
    entries_close: Moment
    observation_start: Moment
    observation_end: Moment
    signing_date: Moment
    entry_fee: Amount
    minimum_entries: int
    maximum_entries: int
    oracle_url: str
    keymeld_gateway: str
    source: DataSource = DataSource(id="noaa_weather", type="weather")
    scoring: ScoringRules = ScoringRules.LINES
    weights: tuple[int, ...] = (1,)
    coordinator_fee_bps: BasisPoints = BasisPoints(300)
    network_fee_margin_bps: BasisPoints = BasisPoints(2_500)
    routing_allowance_base: Amount = Sats(10)
    routing_allowance_ppm: int = 5_000
    fee_rate_ceiling: FeeRate = FeeRate(12_500)
    delta: Blocks | None = None
    expiry: Moment | None = None
    closing: ClosingWindows = ClosingWindows()
    keymeld_pcrs: tuple[Pcr, ...] = ()
    mode: Mode = Mode.HOLD
    approvals: bool = True

    def observation(self, metrics: Mapping[str, Metric]) -> Observation:
        """What is observed, with the rule of each metric as its source has it. Raises InvalidInput."""
        unknown = [metric for metric in self.metrics if metric not in metrics]
        if unknown:
            raise InvalidInput("draft.metrics", f"{unknown[0]} is unknown to the source", ", ".join(sorted(metrics)))
        return Observation(
            source=self.source,
            window=ObservationWindow(start=_seconds(self.observation_start), end=_seconds(self.observation_end)),
            signing_date=_seconds(self.signing_date),
            targets=self.targets,
            metrics=tuple(metrics[metric] for metric in self.metrics),
            values_per_entry=self.values_per_entry,
        )

    def lines_event(self, metrics: Mapping[str, Metric], event_ids: tuple[UUID, ...]) -> CreateEvent:
        """Event 0, to be made at the oracle before there are terms: it is given no entries, only its
        lines count.
        """
        return create_event(
            self.observation(metrics),
            event_ids,
            self.scoring,
            attempt=0,
            entries=self.maximum_entries,
            places=len(self.weights),
        )


@dataclass(frozen=True, slots=True)
class Setting:
    """What terms need beyond the operator's file: identities, the source's metrics and lines, chain
    and clock.
    """

    competition_id: UUID
    coordinator_key: bytes
    """X-only, 32 bytes."""
    oracle_key: bytes
    """33 bytes, read from the oracle itself."""
    event_ids: tuple[UUID, ...]
    """Nine, of events 0 to 8."""
    metrics: Mapping[str, Metric]
    lines: tuple[Line, ...]
    tip: Height
    now: UnixTime


def read_draft(value: object) -> Draft:
    """A draft from parsed TOML. Raises InvalidInput naming the field."""
    return convert_strict(value, Draft, "draft")


def fix_terms(draft: Draft, setting: Setting) -> Terms:
    """The terms of a draft at a height and time. Raises InvalidInput or Refused as Terms does."""
    mainnet = draft.network is Network.MAINNET
    schedule = ScheduleTerms(
        entries_close=_seconds(draft.entries_close), closing=draft.closing, funding_deadline=Height(1)
    )
    deadline = funding_deadline(setting.tip, setting.now, end_of_closing(schedule))
    observation = draft.observation(setting.metrics)
    # Through plain values, because only those are checked against the types and limits of the terms.
    document = msgspec.to_builtins(
        {
            "version": 1,
            "competition_id": setting.competition_id,
            "title": draft.title,
            "network": draft.network,
            "coordinator_key": setting.coordinator_key.hex(),
            "oracle": OracleTerms(
                public_key=setting.oracle_key.hex(), url=draft.oracle_url, event_ids=setting.event_ids
            ),
            "observation": observation,
            "scoring": Scoring(rules=draft.scoring, lines=setting.lines),
            "entries": EntryTerms(minimum=draft.minimum_entries, maximum=draft.maximum_entries),
            "money": _money(draft),
            "contract": ContractTerms(
                delta=draft.delta or (MAINNET_DELTA if mainnet else TEST_DELTA),
                fee_rate_ceiling=draft.fee_rate_ceiling,
                anchor=ANCHOR,
                outcome_bound_splits=len(draft.weights) >= 2,
                required_confirmations=Confirmations(MAINNET_CONFIRMATIONS if mainnet else TEST_CONFIRMATIONS),
                expiry=_expiry(draft, observation),
            ),
            "schedule": ScheduleTerms(
                entries_close=schedule.entries_close, closing=draft.closing, funding_deadline=deadline
            ),
            "keymeld": KeymeldTerms(gateway=draft.keymeld_gateway, pcrs=draft.keymeld_pcrs),
            "mode": draft.mode,
            "approvals": draft.approvals,
        }
    )
    return convert_strict(document, Terms, "terms")


def _money(draft: Draft) -> MoneyTerms:
    return MoneyTerms(
        entry_fee=draft.entry_fee,
        coordinator_fee_bps=draft.coordinator_fee_bps,
        network_fee_margin_bps=draft.network_fee_margin_bps,
        routing_allowance_base=draft.routing_allowance_base,
        routing_allowance_ppm=draft.routing_allowance_ppm,
        weights=draft.weights,
    )


def _expiry(draft: Draft, observation: Observation) -> UnixTime:
    if draft.expiry is not None:
        return _seconds(draft.expiry)
    return UnixTime(observation.signing_date + EXPIRY_AFTER_SIGNING)


def _seconds(moment: datetime) -> UnixTime:
    return UnixTime(int(moment.timestamp()))
