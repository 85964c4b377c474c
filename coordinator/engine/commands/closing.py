"""The closing as the players see it: join (seal), ready, approvals (money section 5)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from coordinator.domain.competitions.closing import forfeited, open_batches, sealing_deadline
from coordinator.domain.competitions.states import AwaitingKeygen, AwaitingSigning, Competition
from coordinator.domain.facts import Approval, ApprovalSpent, Entry, Fact, Ready, Seal
from coordinator.domain.lane import Lane
from coordinator.engine.commands.tickets import ticket_of
from coordinator.engine.executors.keymeld_session import sealed_registration, session_open
from coordinator.engine.executors.keymeld_signing import stored_batch
from coordinator.engine.executors.services import Services
from coordinator.engine.submit import Conflict, Decide, Decision
from coordinator.ports.faults import PortError
from coordinator_core.competition.picks import Pick, verify_opening
from coordinator_core.errors import Fault, InvalidInput, InvalidSignature, Misuse, Refused
from coordinator_core.keymeld.approval import ParticipantApproval, accept_approval
from coordinator_core.keymeld.batch import SignedBatch
from coordinator_core.keymeld.registration import RegistrationAuthorization, RegistrationContext
from coordinator_core.keymeld.request_auth import HEADER
from coordinator_core.units import UnixTime

CLOCK_PATIENCE_SECONDS = 2.0

log = structlog.get_logger()


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


@dataclass(frozen=True, slots=True)
class Evidence:
    """What approvals are judged by, read before the command is: batches as they were sent, by session, and the
    gateway's clock, which dates approvals and headers.
    """

    batches: Mapping[str, SignedBatch]
    now: UnixTime


async def evidence(services: Services, lane: Lane, attempt: int, sessions: Iterable[str]) -> Evidence:
    """The batches of those `sessions` that are open. A pinned batch never changes, so it may be read beforehand."""
    current = {batch.session_id for batch in open_batches(lane, attempt)}
    batches = {name: await stored_batch(services, lane.id, name) for name in sorted(current & set(sessions))}
    return Evidence(batches, await _gateway_time(services))


async def _gateway_time(services: Services) -> UnixTime:
    """The gateway's clock; ours while it does not answer, so that its outage takes no approval's time away."""
    try:
        async with asyncio.timeout(CLOCK_PATIENCE_SECONDS):
            return await services.keymeld.gateway_time()
    except (PortError, TimeoutError) as error:
        log.info("approvals are dated by our own clock", error=str(error))
        return services.clock.wall()


def approve(player: str, entry_id: str, attempt: int, given: Sequence[GivenApproval], seen: Evidence) -> Decide:
    """Approvals of open sessions, each verified with its header as the gateway will; handed over valid in time means
    approved. One that is not verified here would be refused there, which counts as keymeld's fault.
    """

    def decide(state: Competition, lane: Lane) -> Decision:
        ticket_of(lane, entry_id, player)
        _signing(state, entry_id, attempt)
        current = {batch.session_id for batch in open_batches(lane, attempt)}
        registration = _registration(lane, entry_id, attempt)
        facts: list[Fact] = []
        for index, one in enumerate(given):
            batch = seen.batches.get(one.signing_session_id)
            if batch is None or one.signing_session_id not in current:
                field = f"approvals[{index}].signing_session_id"
                raise Conflict(field, "is not an open session", "read the status again", fault=Fault.PLAYER)
            approval = _verified(one, registration, batch, seen.now, f"approvals[{index}]")
            _require_unspent(lane, attempt, one.signing_session_id, approval, f"approvals[{index}]")
            facts.append(_approval(lane, attempt, one, approval))
        return Decision(facts, {"accepted": len(facts)})

    return decide


def _registration(lane: Lane, entry_id: str, attempt: int) -> RegistrationContext:
    """What a player registered in an attempt: the key that its approvals and headers are signed with."""
    seal = lane.facts.get(Seal, f"{attempt}/{entry_id}")
    if seal is None:
        raise Misuse(f"entry {entry_id} has not sealed in attempt {attempt}")
    return RegistrationAuthorization.from_json(seal.registration).context


def _verified(
    one: GivenApproval, registration: RegistrationContext, batch: SignedBatch, now: UnixTime, field: str
) -> ParticipantApproval:
    """The approval, once it and its header are what the gateway asks for. Raises InvalidInput, the player's fault."""
    try:
        approval = ParticipantApproval.from_json(msgspec.json.encode(one.approval))
        accept_approval(
            approval,
            one.x_user_signature,
            registration=registration,
            signing_session_id=one.signing_session_id,
            items=batch.items,
            now=now,
        )
    except (InvalidInput, InvalidSignature) as error:
        raise _blamed(error, field) from error
    return approval


def _blamed(error: InvalidInput | InvalidSignature, field: str) -> InvalidInput:
    """The same refusal under the member of the body that it is about, with what to do."""
    what = error.what if isinstance(error, InvalidSignature) else error.field
    if what == HEADER:
        place = f"{field}.x_user_signature"
    elif isinstance(error, InvalidSignature):
        place = f"{field}.approval.signature"
    else:
        place = f"{field}.{what}"
    fix = "read the batch again, sign it with the key of this attempt and make a fresh header, by the gateway's clock"
    kind = Refused if isinstance(error, Refused) else InvalidInput
    return kind(place, error.reason, fix, fault=Fault.PLAYER)


def _require_unspent(lane: Lane, attempt: int, session: str, approval: ParticipantApproval, field: str) -> None:
    if forfeited(lane, attempt, session, approval.user_id):
        place, fix = f"{field}.x_user_signature", "nothing: this attempt ends without you"
        raise Conflict(place, "of this session was used before it was handed over", fix, fault=Fault.PLAYER)
    spent = f"{attempt}/{session}/{approval.user_id}/{approval.timestamp}"
    if lane.facts.get(ApprovalSpent, spent) is not None:
        place = f"{field}.approval.timestamp"
        raise Conflict(place, "left in vain already", "sign a fresh approval", fault=Fault.PLAYER)


def _approval(lane: Lane, attempt: int, one: GivenApproval, approval: ParticipantApproval) -> Approval:
    return Approval(
        attempt=attempt,
        entry_id=approval.user_id,
        session_id=one.signing_session_id,
        approval=approval.to_json(),
        header=one.x_user_signature,
        timestamp=approval.timestamp,
        at=lane.world.wall,
    )
