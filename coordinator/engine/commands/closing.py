"""The closing as the players see it: join (seal), ready, approvals (money section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec
from msgspec import Struct

from coordinator.domain.competitions.closing import open_batches, sealing_deadline
from coordinator.domain.competitions.states import AwaitingKeygen, AwaitingSigning, Competition
from coordinator.domain.facts import Approval, ApprovalSpent, Entry, Fact, Ready, Seal
from coordinator.domain.lane import Lane
from coordinator.engine.commands.tickets import ticket_of
from coordinator.engine.executors.keymeld_session import sealed_registration, session_open
from coordinator.engine.submit import Conflict, Decide, Decision
from coordinator_core.competition.picks import Pick, verify_opening
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.keymeld.approval import ParticipantApproval
from coordinator_core.keymeld.registration import RegistrationAuthorization
from coordinator_core.units import Seconds, UnixTime

FORWARDING_AGE = Seconds(120)
"""An approval older than this is asked for again: the gateway takes none over 300 s."""


class GivenApproval(Struct, frozen=True):
    """One approval as a client hands it over."""

    signing_session_id: str
    approval: dict[str, object]
    x_user_signature: str


def join(
    player: str, entry_id: str, attempt: int, registration: str, ciphertext: str, salt: bytes, picks: Sequence[Pick]
) -> Decide:
    """A player seals its key of the attempt and opens its picks. The same seal again has no effect."""

    def decide(state: Competition, lane: Lane) -> Decision:
        ticket_of(lane, entry_id, player)
        _require_attempt(state, lane, entry_id, attempt)
        entry = lane.facts.get(Entry, entry_id)
        if entry is None:
            raise InvalidInput("entry", "was never signed", "hand the entry in first", fault=Fault.PLAYER)
        opened_picks = verify_opening(
            bytes.fromhex(entry.commitment), UUID(entry_id), salt, picks, lane.terms.observation
        )
        authorization = RegistrationAuthorization.from_json(registration)
        seal = Seal(
            attempt=attempt,
            entry_id=entry_id,
            registration=registration,
            ciphertext=ciphertext,
            public_key=authorization.context.public_key.hex(),
            auth_public_key=authorization.context.auth_pubkey.hex(),
            salt=salt.hex(),
            picks=msgspec.json.encode(opened_picks).decode(),
            at=lane.world.wall,
        )
        sealed_registration(lane, seal)
        known = lane.facts.get(Seal, seal.key)
        if known is not None and known.ciphertext != ciphertext:
            raise Conflict("entry", "is sealed in this attempt already", "send the same seal again", fault=Fault.PLAYER)
        opened = session_open(lane, attempt)
        answer = {"entry_id": entry_id, "keymeld_user_id": entry_id, "keymeld_session_id": opened.session_id}
        return Decision([seal], answer)

    return decide


def _require_attempt(state: Competition, lane: Lane, entry_id: str, attempt: int) -> None:
    if not isinstance(state, AwaitingKeygen) or state.attempt != attempt or entry_id not in state.roster:
        raise Conflict(
            "attempt", "keys of this attempt are not being sealed", "read the status again", fault=Fault.PLAYER
        )
    deadline = sealing_deadline(lane, attempt)
    if deadline is None or lane.world.wall >= deadline:
        raise Conflict("attempt", "the sealing window is not open", "read the status again", fault=Fault.PLAYER)


def _signing(state: Competition, entry_id: str, attempt: int) -> AwaitingSigning:
    if not isinstance(state, AwaitingSigning) or state.attempt != attempt or entry_id not in state.roster:
        raise Conflict("attempt", "batches of this attempt are not open", "read the status again", fault=Fault.PLAYER)
    return state


def ready(player: str, entry_id: str, attempt: int, sessions: Sequence[str]) -> Decide:
    """A client compared every item of every open batch with the contract it derived itself."""

    def decide(state: Competition, lane: Lane) -> Decision:
        ticket_of(lane, entry_id, player)
        _signing(state, entry_id, attempt)
        current = sorted(batch.session_id for batch in open_batches(lane, attempt))
        if sorted(sessions) != current:
            raise Conflict("sessions", "are not the open ones", "read the status again", fault=Fault.PLAYER)
        fact = Ready(attempt=attempt, entry_id=entry_id, sessions=tuple(current), at=lane.world.wall)
        return Decision([fact], {"ready": True})

    return decide


def approve(player: str, entry_id: str, attempt: int, given: Sequence[GivenApproval]) -> Decide:
    """Approvals of open sessions; handed over valid in time means approved."""

    def decide(state: Competition, lane: Lane) -> Decision:
        ticket_of(lane, entry_id, player)
        _signing(state, entry_id, attempt)
        current = {batch.session_id for batch in open_batches(lane, attempt)}
        facts: list[Fact] = []
        for index, one in enumerate(given):
            if one.signing_session_id not in current:
                field = f"approvals[{index}].signing_session_id"
                raise Conflict(field, "is not an open session", "read the status again", fault=Fault.PLAYER)
            facts.append(_approval(lane, entry_id, attempt, one))
        return Decision(facts, {"accepted": len(facts)})

    return decide


def _approval(lane: Lane, entry_id: str, attempt: int, one: GivenApproval) -> Approval:
    text = msgspec.json.encode(one.approval).decode()
    approval = ParticipantApproval.from_json(text)
    if approval.user_id != entry_id:
        raise InvalidInput("approval.user_id", "is another entry", "approve with your own", fault=Fault.PLAYER)
    spent = f"{attempt}/{one.signing_session_id}/{entry_id}/{approval.timestamp}"
    if lane.facts.get(ApprovalSpent, spent) is not None:
        raise Conflict("approval.timestamp", "left in vain already", "sign a fresh approval", fault=Fault.PLAYER)
    approval.check_age(lane.world.wall, max_age=FORWARDING_AGE)
    return Approval(
        attempt=attempt,
        entry_id=entry_id,
        session_id=one.signing_session_id,
        approval=text,
        header=one.x_user_signature,
        timestamp=UnixTime(approval.timestamp),
        at=lane.world.wall,
    )
