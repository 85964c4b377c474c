"""The closing as one player sees it: what its client needs for the next step."""

from __future__ import annotations

import msgspec

from coordinator.domain.competitions import closing
from coordinator.domain.competitions.states import (
    AwaitingKeygen,
    AwaitingSigning,
    Closing,
    CollectingEntries,
    Competition,
    Created,
    EntriesSubmitted,
    Opening,
)
from coordinator.domain.facts import (
    BatchesOpen,
    ContractSigned,
    Forwarded,
    Keygen,
    OracleEvent,
    Seal,
    SessionOpen,
    SpareOpen,
)
from coordinator.domain.lane import Lane
from coordinator.views.competition import waiting_for


def keymeld_status(state: Competition, lane: Lane, entry_id: str) -> dict[str, object]:
    """See GET /competitions/{id}/keymeld/status."""
    attempt: int | None = getattr(state, "attempt", None)
    roster: tuple[str, ...] = getattr(state, "roster", ())
    return {
        "attempt": attempt,
        "keygen_status": _keygen(state, lane, attempt),
        "signing_status": _signing(state, lane, attempt),
        "participant_approvals": _approvals(lane, attempt, roster),
        "waiting_for": waiting_for(state, lane),
        "in_attempt": entry_id in roster,
        "sealed": attempt is not None and lane.facts.get(Seal, f"{attempt}/{entry_id}") is not None,
        "closing_done": _is_done(state),
        **_session(lane, attempt, entry_id),
        **_batches(state, lane, attempt, entry_id),
    }


def _keygen(state: Competition, lane: Lane, attempt: int | None) -> str:
    if attempt is None or lane.facts.get(SessionOpen, attempt) is None:
        return "none"
    if lane.facts.get(Keygen, attempt) is not None:
        return "completed"
    return "sealing" if isinstance(state, AwaitingKeygen) else "failed"


def _signing(state: Competition, lane: Lane, attempt: int | None) -> str:
    if attempt is None or lane.facts.get(BatchesOpen, attempt) is None:
        return "none"
    if lane.facts.get(ContractSigned, attempt) is not None:
        return "signed"
    roster: tuple[str, ...] = getattr(state, "roster", ())
    return "approving" if closing.absent_at_approval(lane, attempt, roster) else "signing"


def _approvals(lane: Lane, attempt: int | None, roster: tuple[str, ...]) -> dict[str, bool]:
    if attempt is None or lane.facts.get(BatchesOpen, attempt) is None:
        return {}
    approvers = closing.approvers(lane, attempt)
    return {entry_id: entry_id in approvers for entry_id in roster}


def _is_done(state: Competition) -> bool:
    """True once the funding left, or nothing is left to close: a hold that is lost before starts another attempt."""
    return not isinstance(state, Opening | Closing)


def _session(lane: Lane, attempt: int | None, entry_id: str) -> dict[str, object]:
    opened = None if attempt is None else lane.facts.get(SessionOpen, attempt)
    event = None if attempt is None else lane.facts.get(OracleEvent, attempt)
    if opened is None or attempt is None:
        names = ("keygen_session_id", "keymeld_user_id", "coordinator_user_id", "manifest", "recipients")
        more = ("assigned_enclave", "enclave_key_epoch", "roster", "encrypted_session_secret")
        nothing: dict[str, object] = {name: None for name in (*names, *more)}
        event_id = event.event_id if event is not None else None
        return {**nothing, "event_id": event_id, "secret_withheld": "no session is open"}
    recipients = msgspec.json.decode(opened.recipients)
    enclave = recipients["user_enclave_assignments"].get(entry_id)
    keygen = lane.facts.get(Keygen, attempt)
    secrets = dict(keygen.encrypted_session_secrets) if keygen is not None else {}
    return {
        "event_id": event.event_id if event is not None else None,
        "keygen_session_id": opened.session_id,
        "keymeld_user_id": entry_id,
        "coordinator_user_id": opened.user_id,
        "manifest": msgspec.json.decode(opened.manifest),
        "recipients": recipients,
        "assigned_enclave": enclave,
        "enclave_key_epoch": dict(opened.epochs).get(enclave),
        "roster": msgspec.json.decode(keygen.roster) if keygen is not None else None,
        "encrypted_session_secret": secrets.get(entry_id),
        "secret_withheld": None if entry_id in secrets else "the roster is not complete",
    }


def _batches(state: Competition, lane: Lane, attempt: int | None, entry_id: str) -> dict[str, object]:
    opened = None if attempt is None else lane.facts.get(BatchesOpen, attempt)
    if opened is None or attempt is None or not isinstance(state, AwaitingSigning | EntriesSubmitted):
        return {"signing_sessions": [], "approvals_wanted": False, "approved": []}
    spares = sorted(lane.facts.of_attempt(SpareOpen, attempt), key=lambda fact: fact.opened_at)
    listed = [*opened.batches, *(spare.batch for spare in spares)]
    given = [*closing.unspent_approvals(lane, attempt), *lane.facts.of_attempt(Forwarded, attempt)]
    return {
        "signing_sessions": [{"session": batch.session_id, "replaces": batch.replaces} for batch in listed],
        "approvals_wanted": closing.ready_players(lane, attempt) >= set(getattr(state, "roster", ())),
        "approved": sorted({fact.session_id for fact in given if fact.entry_id == entry_id}),
    }


def is_before_closing(state: Competition) -> bool:
    """True while entries are collected."""
    return isinstance(state, Created | CollectingEntries)
