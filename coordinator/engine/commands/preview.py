"""What a draft would become if it were published now: its terms and its budget. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass

from coordinator.engine.executors.oracle import source_metrics
from coordinator.engine.executors.services import Services
from coordinator.ports.oracle import PlanFinding
from coordinator_core.competition.budget import Budget, budget
from coordinator_core.competition.draft import Draft, Setting, fix_terms
from coordinator_core.competition.draft_rules import without_lines
from coordinator_core.competition.ids import uuid7
from coordinator_core.competition.observation import ATTEMPTS
from coordinator_core.competition.terms import Terms
from coordinator_core.units import Height, UnixTime


@dataclass(frozen=True, slots=True)
class Preview:
    """Terms with ids that are thrown away, their budget at height `tip` and domain time `now`, and what the oracle
    cannot observe as it sees it today."""

    terms: Terms
    budget: Budget
    findings: tuple[PlanFinding, ...]
    tip: Height
    now: UnixTime


async def preview(services: Services, draft: Draft) -> Preview:
    """Judge a draft. Raises InvalidInput or Refused as Terms does, VerificationFailed or a PortError of the oracle.

    Lines enter terms from an event that is only made once a competition is created; no budget depends on them, so the
    draft is judged as if it were scored without.
    """
    clock = services.clock
    tip, now = await services.present()
    metrics = await source_metrics(services.oracle, draft)
    setting = Setting(
        competition_id=uuid7(clock.wall()),
        coordinator_key=services.secrets.signing_key("nostr").x_only,
        oracle_key=await services.oracle.public_key(),
        event_ids=tuple(uuid7(clock.wall()) for _ in range(ATTEMPTS + 1)),
        metrics=metrics,
        lines=(),
        tip=tip,
        now=now,
    )
    terms = fix_terms(without_lines(draft), setting)
    report = await services.oracle.check_plan(terms.observation, draft.scoring)
    return Preview(terms, budget(terms, tip, now, clock.cancel_delta), report.findings, tip, now)
