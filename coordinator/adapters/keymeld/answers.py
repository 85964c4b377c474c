"""Answers of the gateway as typed values. A malformed one is the signer's fault."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from coordinator.ports.keymeld import (
    EnclaveKey,
    KeygenState,
    KeygenStatus,
    Reservation,
    SigningState,
    SigningStatus,
    Slot,
)
from coordinator_core.errors import CoreError, Fault, InvalidInput, VerificationFailed
from coordinator_core.keymeld.audit import OpenSession
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.members import MAX_PARTICIPANTS, U32, Members, as_integer, as_uuid
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.units import UnixTime


@contextmanager
def from_gateway(what: str) -> Generator[None]:
    """What is refused or does not verify inside is VerificationFailed with fault SIGNER."""
    try:
        yield
    except InvalidInput as error:
        raise VerificationFailed(f"keymeld {what}", str(error), fault=Fault.SIGNER) from error
    except CoreError as error:
        error.fault = Fault.SIGNER
        raise


def read_enclave(answer: Members, enclave_id: int) -> EnclaveKey:
    """GET /enclaves/{id}/public-key. Attestation documents are not verified: `attested` is always False."""
    with from_gateway("public-key"):
        if answer.integer("enclave_id", 0, U32) != enclave_id:
            raise InvalidInput("public-key.enclave_id", "is another enclave")
        return EnclaveKey(
            enclave_id=enclave_id,
            public_key=answer.hex_point("public_key"),
            key_epoch=answer.integer("key_epoch", 1),
            healthy=answer.boolean("healthy"),
            attested=False,
        )


def read_enclave_ids(value: object) -> list[int]:
    """GET /enclaves: the ids of healthy enclaves, ascending."""
    with from_gateway("enclaves"):
        entries = Members(value, "enclaves", ("enclaves",), only=False).array("enclaves", MAX_PARTICIPANTS)
        read = [Members(entry, "enclave", ("enclave_id", "healthy"), only=False) for entry in entries]
        return sorted(entry.integer("enclave_id", 0, U32) for entry in read if entry.boolean("healthy"))


def read_reservation(value: object, manifest: SignedManifest, pinned: dict[int, EnclaveKey]) -> Reservation:
    """POST /keygen/reserve, checked against manifest and pinned enclaves."""
    names = (
        "keygen_session_id",
        "user_enclave_assignments",
        "coordinator_enclave_id",
        "coordinator_public_key",
        "coordinator_key_epoch",
        "expires_at",
    )
    terms = manifest.manifest
    with from_gateway("reservation"):
        answer = Members(value, "reservation", names, only=False)
        assignments = answer.by_uuid("user_enclave_assignments", _enclave_id)
        enclave = answer.integer("coordinator_enclave_id", 0, U32)
        key = pinned.get(enclave)
        _equal(answer.uuid("keygen_session_id"), terms.keygen_session_id, "keygen_session_id")
        _equal(sorted(assignments), list(terms.users), "user_enclave_assignments")
        _equal(set(assignments.values()) - pinned.keys(), set[int](), "user_enclave_assignments")
        _equal(assignments[terms.coordinator_user_id], enclave, "coordinator_enclave_id")
        _equal(answer.hex_point("coordinator_public_key"), key and key.public_key, "coordinator_public_key")
        _equal(answer.integer("coordinator_key_epoch"), key and key.key_epoch, "coordinator_key_epoch")
        return Reservation(assignments, enclave, UnixTime(answer.integer("expires_at")))


def read_slots(value: object) -> tuple[Slot, ...]:
    """GET /keygen/{id}/slots."""
    with from_gateway("slots"):
        entries = Members(value, "slots", ("available_slots",), only=False).array("available_slots", MAX_PARTICIPANTS)
        names = ("user_id", "enclave_id", "claimed")
        read = [Members(entry, "slot", names, only=False) for entry in entries]
        return tuple(
            Slot(slot.uuid("user_id"), slot.integer("enclave_id", 0, U32), slot.boolean("claimed")) for slot in read
        )


def read_keygen_status(value: object, keygen_session_id: str) -> KeygenStatus:
    """GET /keygen/{id}/status; manifest and recipients are verified."""
    names = (
        "keygen_session_id",
        "status",
        "expected_participants",
        "registered_participants",
        "recipient_authorization",
        "authorization_manifest",
    )
    with from_gateway("keygen status"):
        answer = Members(value, "status", names, only=False)
        _equal(answer.uuid("keygen_session_id"), keygen_session_id, "keygen_session_id")
        manifest = answer.raw("authorization_manifest")
        signed = None if manifest is None else SignedManifest.from_value(manifest)
        recipients = answer.raw("recipient_authorization")
        return KeygenStatus(
            state=KeygenState(_state(answer.raw("status"), KeygenState)),
            registered=answer.integer("registered_participants", 0, MAX_PARTICIPANTS),
            expected=answer.integer("expected_participants", 0, MAX_PARTICIPANTS),
            manifest=signed,
            recipients=None
            if recipients is None or signed is None
            else EnclaveRecipients.from_value(recipients, signed),
        )


def read_signing_status(value: object, raw: bytes, signing_session_id: str) -> SigningStatus:
    """GET /signing/{id}/status/{user}."""
    names = (
        "status",
        "participants_requiring_approval",
        "approved_participants",
    )
    with from_gateway("signing status"):
        answer = Members(value, "status", names, only=False)
        return SigningStatus(
            state=SigningState(_state(answer.raw("status"), SigningState)),
            requiring_approval=_users(answer, "participants_requiring_approval"),
            approved=_users(answer, "approved_participants"),
            items=OpenSession.from_status(value, signing_session_id, None).items,
            raw=raw,
        )


def _users(answer: Members, name: str) -> tuple[str, ...]:
    return tuple(as_uuid(user, answer.path(name)) for user in answer.array(name, MAX_PARTICIPANTS))


def _enclave_id(value: object, field: str) -> int:
    return as_integer(value, field, 0, U32)


def _state(value: object, states: type[KeygenState] | type[SigningState]) -> str:
    if not isinstance(value, str) or value not in set(states):
        raise InvalidInput("status.status", "is no known state")
    return value


def _equal(found: object, expected: object, field: str) -> None:
    if found != expected:
        raise InvalidInput(field, "is not what was asked for")
