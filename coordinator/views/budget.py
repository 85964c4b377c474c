"""The budget of a draft as the operator's command line shows it."""

from __future__ import annotations

from typing import Any

import msgspec

from coordinator.engine.commands.preview import Preview
from coordinator_core.competition.observation import ScoringRules


def budget_table(preview: Preview, scoring: ScoringRules) -> dict[str, Any]:
    """Rows by number of entries, dates (UNIX time), and what speaks against publishing. Amounts in sat."""
    terms, budget = preview.terms, preview.budget
    return {
        "title": terms.title,
        "network": terms.network,
        "targets": list(terms.observation.targets),
        "metrics": [metric.id for metric in terms.observation.metrics],
        "picks": terms.observation.values_per_entry,
        "scoring": scoring,
        "entry_fee": terms.money.entry_fee,
        "coordinator_fee": budget.coordinator_fee,
        "fee_rate_ceiling": terms.contract.fee_rate_ceiling,
        "delta": terms.contract.delta,
        "minimum_entry_fee": budget.minimum_entry_fee,
        "unpaused_entry_fee": budget.unpaused_entry_fee,
        "route_reach": budget.route_reach,
        "rows": [msgspec.to_builtins(row) for row in budget.rows],
        "dates": {
            "entries_close": terms.schedule.entries_close,
            "closing_ends": budget.closing_ends,
            "funding_deadline": budget.funding_date,
            "observation_start": terms.observation.window.start,
            "observation_end": terms.observation.window.end,
            "signing_date": terms.observation.signing_date,
            "expiry": terms.contract.expiry,
        },
        "funding_deadline_height": budget.funding_deadline,
        "objections": [msgspec.to_builtins(objection) for objection in budget.objections],
        "findings": [
            {"problem": finding.problem, "subject": finding.subject, "reason": finding.reason}
            for finding in preview.findings
        ],
        "tip": preview.tip,
        "now": preview.now,
    }
