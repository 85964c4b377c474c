"""What can be said of a draft before its oracle was asked anything."""

from __future__ import annotations

from typing import Final

import msgspec

from coordinator_core.competition.budget import budget
from coordinator_core.competition.draft import Draft, Setting, fix_terms, read_draft
from coordinator_core.competition.ids import uuid7
from coordinator_core.competition.observation import ATTEMPTS, Metric, Rule, ScoringRules
from coordinator_core.competition.schedule import check_creation
from coordinator_core.secp256k1 import G
from coordinator_core.units import Blocks, Height, UnixTime

_ANY_KEY: Final = G
"""Stands for keys that no rule but their form is about."""


def require_playable(draft: Draft, tip: Height, now: UnixTime, cancel_delta: Blocks) -> None:
    """Refuse a draft of which no terms could ever be made at height `tip` and domain time `now`: its dates, sizes and
    fees are judged by the rules of the terms and of the budget (money sections 1 and 2).

    The oracle's part is left open: it may still lack the source or a metric. `cancel_delta` as in `check_creation`.
    Raises InvalidInput or Refused, naming the field of the terms.
    """
    setting = Setting(
        competition_id=uuid7(now),
        coordinator_key=_ANY_KEY[1:],
        oracle_key=_ANY_KEY,
        event_ids=tuple(uuid7(now) for _ in range(ATTEMPTS + 1)),
        metrics={name: Metric(id=name, rule=Rule.EXACT, tolerance=None) for name in draft.metrics},
        lines=(),
        tip=tip,
        now=now,
    )
    terms = fix_terms(without_lines(draft), setting)
    check_creation(terms, tip, now, cancel_delta)
    budget(terms, tip, now, cancel_delta).require()


def without_lines(draft: Draft) -> Draft:
    """The same with fixed scoring: lines come from an event that the oracle makes; no other rule depends on them."""
    return read_draft(msgspec.to_builtins(draft) | {"scoring": ScoringRules.FIXED.value})
