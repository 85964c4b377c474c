"""What a player checks by itself before it seals a key and before it approves a batch.

Sources: keymeld sections 4.6 and 11, and the closing in the money rules. All refusals are the coordinator's
fault.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from coordinator_core.errors import Fault, InvalidInput, Refused
from coordinator_core.keymeld.access import SessionAccess
from coordinator_core.keymeld.batch import MAX_BATCH_ITEMS
from coordinator_core.keymeld.batch_item import EncryptedItem
from coordinator_core.keymeld.encrypted_data import Context
from coordinator_core.keymeld.manifest import SignedManifest
from coordinator_core.keymeld.members import Members
from coordinator_core.keymeld.plan import KEYGEN_TIMEOUT, SigningPlan
from coordinator_core.keymeld.recipients import EnclaveRecipients
from coordinator_core.keymeld.roster import VerifiedRoster
from coordinator_core.keymeld.tweak import require_encrypted_no_tweak
from coordinator_core.musig2 import SigningItem
from coordinator_core.secret import Secret


class ManifestRefused(Refused):
    """A manifest or its recipients grant something else than the competition needs."""

    code = "keymeld.manifest_refused"


class BatchRefused(Refused):
    """A signing session would sign something else than the contract, or more than once."""

    code = "keymeld.batch_refused"


class OpenSession(Struct, frozen=True):
    """A signing session as read from the gateway; `replaces` names the session that it is a spare of."""

    signing_session_id: str
    replaces: str | None
    items: tuple[EncryptedItem, ...]

    @classmethod
    def from_status(cls, value: object, signing_session_id: str, replaces: str | None) -> OpenSession:
        """From the decoded JSON of GET /signing/{id}/status/{user}. Raises InvalidInput."""
        members = Members(value, "status", ("signing_session_id", "batch_items"), only=False)
        if members.uuid("signing_session_id") != signing_session_id:
            raise InvalidInput("status.signing_session_id", "is another session")
        items = members.array("batch_items", MAX_BATCH_ITEMS)
        read = (EncryptedItem.from_wire(item, f"status.batch_items[{index}]") for index, item in enumerate(items))
        return cls(signing_session_id, replaces, tuple(read))


def audit_manifest(
    signed: SignedManifest, *, slot_keys: Mapping[str, bytes], places: int, keygen_session_id: str
) -> None:
    """Check a manifest before sealing a key. Raises ManifestRefused.

    `slot_keys` are the slot public keys of all signed entries (own one included) by entry id, the
    coordinator's not among them. Exactly these players and the coordinator take part; the subsets are the
    winner sets and everyone, each once; quota and timeout are the fixed ones.
    """
    manifest = signed.manifest
    players = sorted(slot_keys)
    plan = SigningPlan.of(len(players), places)
    _grants(manifest.keygen_session_id == keygen_session_id, "keygen_session_id", "is another session")
    others = dict(manifest.participant_verifiers)
    others.pop(manifest.coordinator_user_id)
    _grants(manifest.coordinator_user_id not in slot_keys, "coordinator_user_id", "is a player's")
    _grants(others.keys() == slot_keys.keys(), "participant_verifiers", "are not exactly the entries")
    _grants(others == dict(slot_keys), "participant_verifiers", "hold another slot key than an entry's")
    groups = Counter(frozenset(subset.participants) for subset in manifest.subset_definitions)
    expected = Counter(plan.groups(manifest.coordinator_user_id, players))
    _grants(groups == expected, "subset_definitions", "are not the winner sets and everyone")
    quota = plan.max_signing_sessions
    _grants(manifest.max_signing_sessions == quota, "max_signing_sessions", f"is not {quota}")
    _grants(manifest.timeout_secs == KEYGEN_TIMEOUT, "timeout_secs", f"is not {KEYGEN_TIMEOUT}")


def audit_recipients(recipients: EnclaveRecipients, signed: SignedManifest, enclave_keys: Mapping[int, bytes]) -> None:
    """Check that the recipients are enclaves as the gateway itself serves them.

    `enclave_keys` are the keys by enclave id that the client fetched. Raises ManifestRefused,
    VerificationFailed.
    """
    recipients.verify(signed)
    for enclave, key in recipients.recipient_public_keys.items():
        same = enclave_keys.get(enclave) == key
        _grants(same, f"recipient_public_keys.{enclave}", "is not the key that the gateway serves")


def audit_session_secret(signed: SignedManifest, session_secret: Secret) -> SessionAccess:
    """Check a session secret that was handed over: it is the manifest's, and the session's tweak is none.

    Raises ManifestRefused, Refused for a tweak, VerificationFailed.
    """
    manifest = signed.manifest
    access = SessionAccess(manifest.keygen_session_id, session_secret)
    _grants(access.public_key == manifest.session_public_key, "session_public_key", "is of another secret")
    tweak = manifest.encrypted_taproot_tweak
    require_encrypted_no_tweak(session_secret, Context.TAPROOT_TWEAK, tweak, "manifest.encrypted_taproot_tweak")
    return access


def audit_sessions(
    sessions: Sequence[OpenSession],
    *,
    expected: Iterable[SigningItem],
    roster: VerifiedRoster,
    session_secret: Secret,
    max_signing_sessions: int,
) -> None:
    """Compare every signing session ever named with the contract that the client derived itself.

    `expected` are all items of the contract, with message, adaptor point and key set. Over the sessions that
    replace none each item stands exactly once; a spare session holds exactly the items of the session it
    replaces, named before it. Raises BatchRefused naming session and item, and what decrypting raises.
    """
    wanted = Counter(expected)
    by_message = {item.message: item for item in wanted}
    batches = -(-wanted.total() // MAX_BATCH_ITEMS)
    _only(len({s.signing_session_id for s in sessions}) == len(sessions), "sessions", "one is named twice")
    held: dict[str, Counter[SigningItem]] = {}
    for session in sessions:
        items = _open(session, roster, session_secret)
        field = f"session {session.signing_session_id}"
        if session.replaces is None:
            for index, item in enumerate(items):
                _take(item, wanted, by_message, f"{field}.items[{index}]")
        else:
            same = held.get(session.replaces) == Counter(items)
            _only(same, field, "does not hold exactly the items of the session it replaces")
        held[session.signing_session_id] = Counter(items)
    spares = sum(session.replaces is not None for session in sessions)
    _only(wanted.total() == 0, "sessions", f"{wanted.total()} items of the contract are in none")
    _only(len(sessions) - spares == batches, "sessions", f"are not the {batches} batches of the contract")
    _only(spares <= max_signing_sessions - batches, "sessions", "are more spare ones than the quota has")


def _open(session: OpenSession, roster: VerifiedRoster, session_secret: Secret) -> list[SigningItem]:
    opened: list[SigningItem] = []
    for item in session.items:
        plain = item.decrypt(session_secret)
        point = None if plain.adaptor is None else plain.adaptor.point
        opened.append(SigningItem(roster.key_set_of(plain.subset_id), plain.message, point))
    return opened


def _take(item: SigningItem, wanted: Counter[SigningItem], by_message: Mapping[bytes, SigningItem], field: str) -> None:
    contract = by_message.get(item.message)
    if contract is None:
        raise BatchRefused(field, "signs a message that is not the contract's", fault=Fault.COORDINATOR)
    _only(item.adaptor_point == contract.adaptor_point, field, "has another adaptor point, or none")
    _only(item.key_set == contract.key_set, field, "is signed by another subset")
    _only(wanted[item] > 0, field, "is signed a second time")
    wanted[item] -= 1


def _grants(condition: bool, field: str, reason: str) -> None:
    if not condition:
        raise ManifestRefused(f"manifest.{field}", reason, fault=Fault.COORDINATOR)


def _only(condition: bool, field: str, reason: str) -> None:
    if not condition:
        raise BatchRefused(field, reason, fault=Fault.COORDINATOR)
