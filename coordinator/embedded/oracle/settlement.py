"""Provisional scores while a window runs, one attestation from the signing date on, never after expiry."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from coordinator.embedded.oracle.dates import HOUR
from coordinator.embedded.oracle.key import OracleKey
from coordinator.embedded.oracle.outcomes import ranking_outcomes
from coordinator.embedded.oracle.records import Entry, Event, Progress, SettlementBlock
from coordinator.embedded.oracle.scoring import Reading, Scored, base_score, winning_indices
from coordinator.embedded.oracle.store import Store
from coordinator.embedded.oracle.weather import Weather

PROVISIONAL_REFRESH = 15 * 60
FIRST_RETRY = 15 * 60
LONGEST_RETRY = 6 * HOUR

_log = logging.getLogger(__name__)

Ranking = Callable[[Event, Sequence[Scored]], tuple[int, ...] | None]
"""Winners of an event, best first, as indices in id order; None when they are not known yet."""


def rank_by_score(event: Event, scored: Sequence[Scored]) -> tuple[int, ...]:
    """The upstream's ranking: points, then the smaller id."""
    return winning_indices(scored, event.places)


class Settlement:
    """Works through the events that are not settled yet. Safe to repeat at any moment."""

    def __init__(self, store: Store, weather: Weather, key: OracleKey, ranking: Ranking = rank_by_score) -> None:
        self._store = store
        self._weather = weather
        self._key = key
        self._ranking = ranking

    def run(self, now: int, *, impatient: bool = False) -> int:
        """Refresh and attest what is due at `now`; returns how many events were attested.

        `impatient` ignores the pauses after failures: new data have come in.
        """
        attested = 0
        for event, progress in self._store.unsettled():
            if now < event.start or now >= event.expiry:
                continue
            if now < event.signing_date:
                self._refresh(event, progress, now)
            elif progress.total_entries == 0:
                self._store.close_without_entries(event.id, now)
            elif impatient or _is_due(progress.block, event, now):
                attested += self._settle(event, progress, now)
        return attested

    def _refresh(self, event: Event, progress: Progress, now: int) -> None:
        if progress.refreshed_at is not None and now < progress.refreshed_at + PROVISIONAL_REFRESH:
            return
        readings = self._weather.readings(event.window, event.locations, event.metrics, now)
        self._store.save_readings(event.id, readings, _score(event, self._store.entries(event.id), readings), now)

    def _settle(self, event: Event, progress: Progress, now: int) -> int:
        readings = self._weather.readings(event.window, event.locations, event.metrics, now)
        block = _problem(readings, progress, event, now)
        if block is not None:
            self._store.save_block(event.id, block)
            return 0
        scored = _score(event, self._store.entries(event.id), readings)
        winners = self._ranking(event, scored)
        if winners is None:
            return 0
        index = ranking_outcomes(event.allowed_entries, event.places).index(winners)
        point = self._store.points(event.id)[index]
        attestation = self._key.attest(event.id.bytes, event.nonce, point, winners)
        stored = self._store.save_attestation(event.id, attestation, readings, scored, now)
        _log.info("attested event %s with winners %s", event.id, winners)
        return int(stored)


def _score(event: Event, entries: Sequence[Entry], readings: Sequence[Reading]) -> list[Scored]:
    return [Scored(entry.id, base_score(entry.picks, readings, event.rule)) for entry in entries]


def _is_due(block: SettlementBlock | None, event: Event, now: int) -> bool:
    # A failure from before the signing date never delays the first real attempt.
    if block is None or block.checked_at < event.signing_date:
        return True
    pause = min(FIRST_RETRY * 2 ** min(block.failures - 1, 16), LONGEST_RETRY)
    return not block.is_final and now >= block.checked_at + pause


def _problem(readings: Sequence[Reading], progress: Progress, event: Event, now: int) -> SettlementBlock | None:
    without_baseline = [f"{r.target}/{r.metric}" for r in readings if r.baseline is None]
    incomplete = [f"{r.target}/{r.metric}" for r in readings if r.values is None]
    if not incomplete:
        return None
    earlier = progress.block
    failures = earlier.failures + 1 if earlier and earlier.checked_at >= event.signing_date else 1
    if without_baseline:
        text = f"settlement blocked: no baseline for {', '.join(without_baseline)}"
        return SettlementBlock("baseline_unavailable", text, now, failures)
    text = f"settlement blocked: incomplete readings for {', '.join(incomplete)}"
    return SettlementBlock("incomplete_readings", text, now, failures)
