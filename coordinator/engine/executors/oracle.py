"""The oracle: events announced and verified, entries handed over, the result matched to our locking points."""

from __future__ import annotations

from uuid import UUID

import msgspec

from coordinator.domain.duties import CheckPlanning, CreateEvent, PollAttestation, PublishTerms, SubmitEntries
from coordinator.domain.facts import (
    Attested,
    Drafted,
    EntriesPosted,
    OracleEvent,
    PlanningChecked,
    Published,
    Seal,
)
from coordinator.domain.lane import Lane
from coordinator.engine.duty import Again, Done, Outcome, Task
from coordinator.engine.executors.contracts import contract_of
from coordinator.engine.executors.services import Services
from coordinator.ports import oracle as port
from coordinator_core.competition.budget import budget
from coordinator_core.competition.draft import Draft, Setting, fix_terms
from coordinator_core.competition.observation import Line, Metric, ScoringRules
from coordinator_core.competition.picks import Pick
from coordinator_core.competition.terms import decode_terms
from coordinator_core.dlc.outcomes import Outcome as ContractOutcome
from coordinator_core.errors import Fault, Misuse, VerificationFailed
from coordinator_core.oracle.attestation import attested_outcome
from coordinator_core.oracle.locking import locking_points, verify_locking_points
from coordinator_core.oracle.statement import parse_statement, verify_statement

PLANNING_RETRY_SECONDS = 5.0
ATTESTATION_POLL_SECONDS = 1.0
SLOW_POLL_SECONDS = 60.0


class PublishTermsExecutor:
    """Fix the terms: the oracle's key, metrics and (with scoring by lines, through event 0) lines enter them.

    The result is pinned, so that terms once computed are the ones that are published.
    """

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[PublishTerms]) -> Outcome:
        """See duty.Executor."""
        raw = await self._s.pinned(task.id, "terms", lambda: self._fix(task.lane))
        return Done([Published(terms=raw.decode(), terms_hash=decode_terms(raw).hash.hex())])

    async def _fix(self, lane: Lane) -> bytes:
        drafted = lane.facts.get(Drafted)
        if drafted is None:
            raise Misuse("a competition without a draft")
        draft = msgspec.json.decode(drafted.draft, type=Draft)
        metrics = await source_metrics(self._s.oracle, draft)
        event_ids = tuple(UUID(text) for text in drafted.event_ids)
        lines: tuple[Line, ...] = ()
        if draft.scoring is ScoringRules.LINES:
            lines = (await self._s.oracle.create_event(draft.lines_event(metrics, event_ids))).lines
        tip, now = await self._s.present()
        setting = Setting(
            competition_id=UUID(lane.id),
            coordinator_key=self._s.secrets.signing_key("nostr").x_only,
            oracle_key=await self._s.oracle.public_key(),
            event_ids=event_ids,
            metrics=metrics,
            lines=lines,
            tip=tip,
            now=now,
        )
        terms = fix_terms(draft, setting)
        budget(terms, tip, now, lane.world.cancel_delta).require()
        return terms.to_bytes()


async def source_metrics(oracle: port.Oracle, draft: Draft) -> dict[str, Metric]:
    """The metrics that the draft's source observes, by id, as the oracle serves them. Raises VerificationFailed."""
    sources = {source.id: source for source in await oracle.sources()}
    if draft.source.id not in sources:
        raise VerificationFailed("oracle", f"does not serve the source {draft.source.id}", fault=Fault.ORACLE)
    return {offered.metric.id: offered.metric for offered in sources[draft.source.id].metrics}


class CheckPlanningExecutor:
    """Ask whether every target and metric can be assessed."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[CheckPlanning]) -> Outcome:
        """See duty.Executor."""
        terms = task.lane.terms
        report = await self._s.oracle.check_plan(terms.observation, terms.scoring.rules)
        if report.passes:
            return Done([PlanningChecked()])
        return Again(PLANNING_RETRY_SECONDS, reason=report.findings[0].reason)


class CreateEventExecutor:
    """Make the event of an attempt; key, points and lines are checked against the terms before anything uses it."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[CreateEvent]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        terms = task.lane.terms
        served = await self._s.oracle.public_key()
        if served != terms.oracle_key:
            raise VerificationFailed("oracle key", "is not the key of the terms", fault=Fault.ORACLE)
        event = await self._s.oracle.create_event(terms.event(duty.attempt, duty.entries))
        announced = event.announcement
        verify_locking_points(
            announced.locking_points, terms.oracle_key, announced.nonce_point, duty.entries, terms.places
        )
        if terms.scoring.rules is ScoringRules.LINES and event.lines != terms.scoring.lines:
            raise VerificationFailed("oracle event", "has other lines than the terms", fault=Fault.ORACLE)
        fact = OracleEvent(
            attempt=duty.attempt,
            event_id=str(event.id),
            nonce_point=announced.nonce_point.hex(),
            entries=duty.entries,
        )
        return Done([fact])


def entry_picks(lane: Lane, attempt: int, roster: tuple[str, ...]) -> tuple[port.EntryPicks, ...]:
    """The opened picks of every player, in roster order. Raises Misuse when one is not opened."""
    listed: list[port.EntryPicks] = []
    for entry_id in roster:
        seal = lane.facts.get(Seal, f"{attempt}/{entry_id}")
        if seal is None:
            raise Misuse(f"entry {entry_id} did not open its picks")
        listed.append(port.EntryPicks(UUID(entry_id), msgspec.json.decode(seal.picks, type=tuple[Pick, ...])))
    return tuple(listed)


class SubmitEntriesExecutor:
    """Hand the entries over; then the event's signed statement has to say what roster and terms say."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[SubmitEntries]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        lane = task.lane
        picks = entry_picks(lane, duty.attempt, duty.roster)
        event = await self._s.oracle.submit_entries(UUID(duty.event_id), picks)
        if event.statement is None:
            return Again(1.0, reason="the oracle has not signed its statement yet")
        announced = lane.facts.get(OracleEvent, duty.attempt)
        if announced is None:
            raise Misuse(f"attempt {duty.attempt} has no oracle event")
        verify_statement(
            parse_statement(event.statement),
            lane.terms,
            attempt=duty.attempt,
            entry_ids=[UUID(entry_id) for entry_id in duty.roster],
            nonce_point=bytes.fromhex(announced.nonce_point),
        )
        return Done([EntriesPosted(attempt=duty.attempt, statement=event.statement.decode())])


class PollAttestationExecutor:
    """Watch the event; only a scalar that opens a locking point of this contract counts, whatever the clock says."""

    def __init__(self, services: Services) -> None:
        self._s = services

    async def __call__(self, task: Task[PollAttestation]) -> Outcome:
        """See duty.Executor."""
        duty = task.duty
        lane = task.lane
        report = await self._s.oracle.get_attestation(UUID(duty.event_id))
        if report.attestation is None:
            early = lane.world.now < lane.terms.observation.signing_date
            return Again(SLOW_POLL_SECONDS if early and not self._s.clock.chain_time else ATTESTATION_POLL_SECONDS)
        announced = lane.facts.get(OracleEvent, duty.attempt)
        if announced is None:
            raise Misuse(f"attempt {duty.attempt} has no oracle event")
        points = locking_points(
            lane.terms.oracle_key, bytes.fromhex(announced.nonce_point), duty.entries, lane.terms.places
        )
        outcome = attested_outcome(report.attestation, points)
        contract = await contract_of(self._s, lane, duty.attempt)
        txid = contract.outcome_txid(ContractOutcome(outcome))[::-1].hex()
        return Done([Attested(outcome=outcome, attestation=report.attestation.hex(), txid=txid)])
