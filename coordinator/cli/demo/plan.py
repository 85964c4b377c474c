"""What the demo plays: scenario, numbers, dates, picks."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from coordinator.cli.stack_settings import ChainSource
from coordinator_core.competition.picks import Choice, Pick
from coordinator_core.competition.terms import Terms

Scenario = Literal["happy", "refund", "expiry", "underfilled", "onchain"]
TARGETS = ("KORD", "KSAW", "KJFK", "KSEA")
METRICS = ("temp_high", "temp_low", "wind_speed")
PAIRS_PER_ENTRY = 4
HOUR, DAY = 3_600, 86_400
OPEN_SECONDS = 3 * HOUR
WEIGHTS = {1: (1,), 2: (60, 40), 3: (50, 30, 20), 4: (40, 30, 20, 10), 5: (35, 25, 20, 12, 8)}
CLOSING = {"sealing": 60, "entries": 60, "approvals": 120, "signatures": 60, "kickoff_grace": 60}
"""Seconds: the demo's players are at their screens, but twenty of them share one process."""


@dataclass(frozen=True, slots=True)
class DemoPlan:
    """Numbers of one run."""

    scenario: Scenario
    players: int
    places: int
    entry_fee: int = 50_000
    seed: int = 1
    source: ChainSource = "core"
    """Where the coordinator learns of the chain."""

    @property
    def joining(self) -> int:
        """How many really come: one too few when under-filled."""
        return self.players - 1 if self.scenario == "underfilled" else self.players

    def draft(self, now: int, oracle_url: str, keymeld_url: str) -> dict[str, Any]:
        """The operator's file for a competition that opens now."""
        closes = now + OPEN_SECONDS
        starts = closes + 8 * HOUR
        ends = starts + DAY
        return {
            "title": "Tomorrow's weather in four cities",
            "network": "regtest",
            "targets": list(TARGETS),
            "metrics": list(METRICS),
            "values_per_entry": PAIRS_PER_ENTRY,
            "entries_close": _iso(closes),
            "observation_start": _iso(starts),
            "observation_end": _iso(ends),
            "signing_date": _iso(ends + HOUR),
            "entry_fee": self.entry_fee,
            "minimum_entries": self.players,
            "maximum_entries": self.players,
            "oracle_url": oracle_url,
            "keymeld_gateway": keymeld_url,
            "scoring": "fixed",
            "weights": list(WEIGHTS[self.places]),
            "closing": CLOSING,
        }

    def picks(self, terms: Terms, player: int) -> tuple[Pick, ...]:
        """A player's guesses: the same seed guesses the same."""
        rng = random.Random(f"{self.seed}/{player}")
        pairs = [(target, metric.id) for target in terms.observation.targets for metric in terms.observation.metrics]
        chosen = rng.sample(pairs, terms.observation.values_per_entry)
        choices = [Choice.PAR] if self.scenario == "refund" else list(Choice)
        return tuple(Pick(target=t, metric=m, choice=rng.choice(choices)) for t, m in chosen)


def _iso(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()
