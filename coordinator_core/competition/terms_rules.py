"""Rules of the terms that need neither clock nor chain. The first one broken is raised, with its field."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Final
from uuid import UUID

from coordinator_core.competition.documents import is_canonical_decimal
from coordinator_core.competition.observation import NOAA_WEATHER, ObservationWindow, Rule, ScoringRules
from coordinator_core.errors import InvalidInput, Refused
from coordinator_core.secp256k1 import lift_x, parse_point
from coordinator_core.units import Sats

if TYPE_CHECKING:
    from coordinator_core.competition.terms import Terms

ANCHOR: Final = Sats(240)
"""Satoshi of the anchor output; 240 is Core's dust limit of pay-to-anchor."""
FUNDING_RESERVE_SECONDS: Final = 18 * 15 * 60
"""Between the date of F and the start of the observation, hold mode: 18 blocks, each allowed 15 minutes."""
EXPIRY_AFTER_SIGNING: Final = 2 * 86_400
"""The oracle signs for one day at most; one more is for the outcome's confirmation."""
MAINNET_CONFIRMATIONS: Final = 3
TEST_CONFIRMATIONS: Final = 1
MAINNET_MIN_DELTA: Final = 200
"""Least delta whose payouts reach two routers: 83 + 80 * 2 <= 2 * delta - 13 - 144."""
_DAY: Final = 86_400
_HALF_DAY: Final = 43_200


def check(terms: Terms) -> None:
    """Raise InvalidInput or Refused if a rule is broken."""
    _mode(terms)
    _entries(terms)
    _money(terms)
    _oracle(terms)
    _dates(terms)
    _window(terms.observation.source.id, terms.observation.window, terms)
    _metrics(terms)
    _lines(terms)
    _contract(terms)
    _mainnet(terms)


def _mode(terms: Terms) -> None:
    if terms.mode.value != "hold":
        raise Refused(
            "terms.mode",
            "escrow mode is not built yet: this coordinator takes tickets by hold invoice only",
            'use "hold"',
        )
    if not terms.approvals:
        raise Refused(
            "terms.approvals",
            "without approvals the coordinator alone would compose what is signed; that is not built",
            "use true",
        )
    if terms.title != terms.title.strip() or not terms.title.isprintable():
        raise InvalidInput("terms.title", "has control characters or outer spaces", "plain printable text")


def _entries(terms: Terms) -> None:
    low, high = terms.entries.minimum, terms.entries.maximum
    if low > high:
        raise InvalidInput("terms.entries.minimum", f"{low} is above the maximum {high}", "minimum <= maximum")
    # With as many places as entries the refund-all message equals the ranking 0..n-1.
    if terms.places >= low:
        raise Refused(
            "terms.money.weights",
            f"{terms.places} places for a minimum of {low} entries",
            "pay fewer places than entries",
        )


def _money(terms: Terms) -> None:
    weights = terms.money.weights
    if any(later > earlier for earlier, later in pairwise(weights)):
        raise InvalidInput("terms.money.weights", "a later place weighs more", "first place first, never rising")
    if terms.money.entry_fee < 1:
        raise InvalidInput("terms.money.entry_fee", "is zero", "at least 1 sat")


def _oracle(terms: Terms) -> None:
    parse_point(bytes.fromhex(terms.oracle.public_key), field="terms.oracle.public_key")
    lift_x(bytes.fromhex(terms.coordinator_key), field="terms.coordinator_key")
    for index, event_id in enumerate(terms.oracle.event_ids):
        _uuid7(event_id, f"terms.oracle.event_ids[{index}]")
    _distinct(terms.oracle.event_ids, "terms.oracle.event_ids")
    _uuid7(terms.competition_id, "terms.competition_id")


def _dates(terms: Terms) -> None:
    schedule, observation, expiry = terms.schedule, terms.observation, terms.contract.expiry
    closed = schedule.entries_close + 3 * schedule.closing.attempt + schedule.closing.kickoff_grace
    start, end = observation.window.start, observation.window.end
    late = closed + FUNDING_RESERVE_SECONDS - start
    if late > 0:
        raise InvalidInput(
            "terms.schedule.entries_close",
            "the closing ends less than 18 slow blocks (4.5 hours) before the observation starts",
            f"close entries at {schedule.entries_close - late} or earlier",
        )
    if start >= end:
        raise InvalidInput("terms.observation.window.end", "is not after the start", "start < end")
    if end > observation.signing_date:
        raise InvalidInput("terms.observation.signing_date", "is before the observation's end", "end <= signing date")
    if expiry < observation.signing_date + EXPIRY_AFTER_SIGNING:
        raise InvalidInput(
            "terms.contract.expiry",
            "is less than two days after the signing date",
            f"{observation.signing_date + EXPIRY_AFTER_SIGNING} or later",
        )


def _window(source: str, window: ObservationWindow, terms: Terms) -> None:
    """The weather source observes at least 24 hours, or a half day from noon or from midnight UTC."""
    if source != NOAA_WEATHER or window.length >= _DAY:
        return
    excluded = {_HALF_DAY: "temp_low", 0: "temp_high"}.get(window.start % _DAY)
    if window.length != _HALF_DAY or excluded is None:
        raise InvalidInput(
            "terms.observation.window",
            "is neither 24 hours or longer nor a half day",
            "24 h, or 12 h from 00:00:00 or 12:00:00 UTC",
        )
    for index, metric in enumerate(terms.observation.metrics):
        if metric.id in (excluded, "humidity"):
            raise InvalidInput(
                f"terms.observation.metrics[{index}]",
                f"{metric.id} is not observed in this half day",
                "a 24 h window",
            )


def _metrics(terms: Terms) -> None:
    observation = terms.observation
    _distinct(observation.targets, "terms.observation.targets")
    _distinct((metric.id for metric in observation.metrics), "terms.observation.metrics")
    pairs = len(observation.targets) * len(observation.metrics)
    if observation.values_per_entry > pairs:
        raise InvalidInput("terms.observation.values_per_entry", f"more picks than the {pairs} pairs", f"1 to {pairs}")
    for index, metric in enumerate(observation.metrics):
        field = f"terms.observation.metrics[{index}].tolerance"
        needed = metric.rule in (Rule.WITHIN, Rule.COMPASS)
        if needed != (metric.tolerance is not None):
            raise InvalidInput(
                field, f"rule {metric.rule} and tolerance do not fit", "only within and compass have one"
            )
        if metric.tolerance is not None:
            _decimal(metric.tolerance, field)
            if not float(metric.tolerance) > 0:
                raise InvalidInput(field, "is not positive", "a tolerance above zero")


def _lines(terms: Terms) -> None:
    scoring, observation = terms.scoring, terms.observation
    if scoring.rules is ScoringRules.FIXED:
        if scoring.lines:
            raise InvalidInput("terms.scoring.lines", "fixed scoring has no lines", "leave it empty")
        return
    hours = observation.window.length // 3_600
    for index, line in enumerate(scoring.lines):
        field = f"terms.scoring.lines[{index}]"
        _decimal(line.lower, f"{field}.lower")
        _decimal(line.upper, f"{field}.upper")
        if not float(line.lower) < float(line.upper):
            raise InvalidInput(f"{field}.upper", "is not above lower", "lower < upper")
        if line.window_hours != hours:
            raise InvalidInput(f"{field}.window_hours", "is not the window's length", f"{hours}")
    given = [(line.target, line.metric) for line in scoring.lines]
    wanted = sorted((target, metric.id) for target in observation.targets for metric in observation.metrics)
    if given != wanted:
        raise InvalidInput(
            "terms.scoring.lines",
            "are not one line for each pair, sorted by target and metric",
            f"{len(wanted)} lines",
        )


def _contract(terms: Terms) -> None:
    contract = terms.contract
    if contract.anchor != ANCHOR:
        raise Refused("terms.contract.anchor", "contracts made here carry an anchor of 240 sat", f"{ANCHOR}")
    if contract.outcome_bound_splits != (terms.places >= 2):
        raise Refused(
            "terms.contract.outcome_bound_splits",
            "splits are bound to their outcome exactly when two places or more are paid",
            str(terms.places >= 2).lower(),
        )
    mainnet = terms.network.value == "mainnet"
    wanted = MAINNET_CONFIRMATIONS if mainnet else TEST_CONFIRMATIONS
    if contract.required_confirmations != wanted:
        raise Refused("terms.contract.required_confirmations", f"is not that of {terms.network}", f"{wanted}")


def _mainnet(terms: Terms) -> None:
    if terms.network.value != "mainnet":
        return
    closing = terms.schedule.closing
    if min(closing.sealing, closing.approvals) < 600 or closing.kickoff_grace < 3_600:
        raise Refused(
            "terms.schedule.closing", "windows of demonstrations are for test networks", "600 s, grace 3600 s"
        )
    if terms.contract.delta < MAINNET_MIN_DELTA:
        raise Refused(
            "terms.contract.delta",
            "payouts would reach fewer than two routers",
            f"{MAINNET_MIN_DELTA} or more",
        )
    if not terms.keymeld.pcrs:
        raise Refused("terms.keymeld.pcrs", "unattested enclaves are for test networks only", "name the measurements")
    for field, url in (
        ("terms.oracle.url", terms.oracle.url),
        ("terms.keymeld.gateway", terms.keymeld.gateway),
    ):
        if not url.startswith("https://"):
            raise Refused(field, "is not https", "an https address")


def _decimal(text: str, field: str) -> None:
    if not is_canonical_decimal(text):
        raise InvalidInput(field, "is not the shortest decimal of its value", "as decimal_text writes it")


def _uuid7(value: UUID, field: str) -> None:
    if value.version != 7:
        raise InvalidInput(field, "is not a UUIDv7", "make it with the time of its creation")


def _distinct(values: Iterable[object], field: str) -> None:
    listed = list(values)
    if len(set(listed)) != len(listed):
        raise InvalidInput(field, "holds one value twice", "each value once")
