"""One virtual enclave: its identity, its sessions, and the commands it obeys."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest
from coordinator.embedded.keymeld.crypto import ecies
from coordinator.embedded.keymeld.enclave.approvals import check_approvals
from coordinator.embedded.keymeld.enclave.commands import (
    InitKeygen,
    InitSigning,
    ItemResult,
    KeygenResult,
    SealedRegistration,
)
from coordinator.embedded.keymeld.enclave.identity import EnclaveIdentity
from coordinator.embedded.keymeld.enclave.items import plan_batch
from coordinator.embedded.keymeld.enclave.opening import open_session
from coordinator.embedded.keymeld.enclave.peers import add_peer_registrations, seal_own_registrations
from coordinator.embedded.keymeld.enclave.registration import open_registration
from coordinator.embedded.keymeld.enclave.results import encode_results
from coordinator.embedded.keymeld.enclave.roster import complete
from coordinator.embedded.keymeld.enclave.round import SigningRound
from coordinator.embedded.keymeld.enclave.session import KeygenSession
from coordinator.embedded.keymeld.errors import EnclaveRejected
from coordinator_core.errors import CoreError, InvalidInput, Refused


@contextmanager
def _rejecting() -> Iterator[None]:
    try:
        yield
    except EnclaveRejected:
        raise
    except CoreError as error:
        raise EnclaveRejected(str(error)) from error


class Enclave:
    """Holds keys in memory only. Every command raises EnclaveRejected when a rule forbids it.

    After a restart the same commands, with the same sealed contents, bring the sessions back within an epoch; nonces
    are never brought back.
    """

    def __init__(self, identity: EnclaveIdentity, clock: Callable[[], int]) -> None:
        self.identity = identity
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, KeygenSession] = {}
        self._rounds: dict[str, SigningRound] = {}
        self._signing_ids: set[str] = set()

    @property
    def enclave_id(self) -> int:
        """The id that recipients and contexts name."""
        return self.identity.enclave_id

    @property
    def session_count(self) -> int:
        """Keygen sessions in memory."""
        return len(self._sessions)

    def holds(self, keygen_session_id: str) -> bool:
        """True if the session is in memory."""
        return keygen_session_id in self._sessions

    def restart_with_new_epoch(self) -> None:
        """Forget every key and session; a fresh enclave key starts the next epoch."""
        with self._lock:
            for session in self._sessions.values():
                session.wipe()
            self._sessions.clear()
            self._rounds.clear()
            self.identity.rotate(self._clock())

    def validate_registration(self, sealed: SealedRegistration, manifest: SignedSessionManifest) -> None:
        """Open a registration and check everything it claims, without keeping it."""
        with _rejecting():
            open_registration(sealed, manifest, self.identity).wipe()

    def init_keygen(self, command: InitKeygen) -> dict[int, str]:
        """Open a session; from the coordinator's enclave, the session secret sealed to each other recipient."""
        with _rejecting():
            session = open_session(command, self.identity)
            with self._lock:
                if session.session_id in self._sessions:
                    raise Refused("keygen_session_id", "is already open", "open each session once")
                self._sessions[session.session_id] = session
            if command.coordinator_user_id is None:
                return {}
            others = (e for e in command.recipients.recipient_public_keys if e != self.enclave_id)
            return {e: ecies.encrypt(session.secret.reveal(), command.recipients.recipient_key(e)) for e in others}

    def add_participants(self, keygen_session_id: str, sealed: Sequence[SealedRegistration]) -> dict[int, str]:
        """Take this enclave's participants; returns what each other enclave has to be told."""
        with _rejecting():
            session = self._session(keygen_session_id)
            for registration in sealed:
                if session.enclave_of(registration.authorization.context.user_id) != self.enclave_id:
                    raise Refused("user_id", "is assigned to another enclave", "send it to its own enclave")
                key = open_registration(registration, session.signed_manifest, self.identity)
                session.add(registration.authorization, key)
            return seal_own_registrations(session, self.identity)

    def add_peers(self, keygen_session_id: str, encrypted: Sequence[str]) -> None:
        """Learn the participants of the other enclaves."""
        with _rejecting():
            session = self._session(keygen_session_id)
            for text in encrypted:
                add_peer_registrations(session, self.identity, text)

    def complete_keygen(self, keygen_session_id: str) -> KeygenResult:
        """Aggregates and signed roster; on the coordinator's enclave only."""
        with _rejecting():
            return complete(self._session(keygen_session_id), self.identity)

    def drop_keygen(self, keygen_session_id: str) -> None:
        """Wipe a session."""
        with self._lock:
            session = self._sessions.pop(keygen_session_id, None)
        if session is not None:
            session.wipe()

    def init_signing(self, command: InitSigning) -> str:
        """Check batch, approvals and every item, then make nonces."""
        with _rejecting():
            session = self._session(command.keygen_session_id)
            session.require_complete()
            if command.authorization.timeout_secs != command.timeout_secs:
                raise InvalidInput("timeout_secs", "differs from the authorization", "the authorized timeout")
            signing_key = session.signed_manifest.manifest.signing_key
            signing_id = command.signing_session_id
            command.authorization.verify(signing_key, session.session_id, signing_id, command.batch)
            check_approvals(session, command, self._clock())
            planned = plan_batch(session, command.batch)
            signing_round = SigningRound(session, signing_id, self.enclave_id, planned)
            with self._lock:
                if signing_id in self._signing_ids:
                    raise Refused("signing_session_id", "was already used", "use a new signing session")
                self._signing_ids.add(signing_id)
                self._rounds[signing_id] = signing_round
            return signing_round.nonces()

    def sign(self, signing_session_id: str, nonces: Mapping[int, str]) -> str:
        """Partial signatures, from every enclave's nonces."""
        with _rejecting():
            return self._round(signing_session_id).partial_signatures(nonces)

    def finalize(
        self, signing_session_id: str, partials: Mapping[int, str], *, spoil: bool = False
    ) -> list[ItemResult]:
        """Verified results under the session secret; on the coordinator's enclave only.

        `spoil` flips one bit of the first signature after verification: a fault for tests of clients.
        """
        with _rejecting():
            signing_round = self._round(signing_session_id)
            signatures = signing_round.finalize(partials)
            if spoil:
                signature, nonce_point = signatures[0]
                signatures[0] = signature[:-1] + bytes((signature[-1] ^ 1,)), nonce_point
            return encode_results(signing_round.planned, signatures, signing_round.session.cipher)

    def close_signing(self, signing_session_id: str) -> None:
        """Forget a signing session; nonces that did not sign are wiped."""
        with self._lock:
            signing_round = self._rounds.pop(signing_session_id, None)
        if signing_round is not None:
            signing_round.abort()

    def _session(self, keygen_session_id: str) -> KeygenSession:
        session = self._sessions.get(keygen_session_id)
        if session is None:
            raise InvalidInput("keygen_session_id", "is not known to this enclave", "run a new keygen")
        return session

    def _round(self, signing_session_id: str) -> SigningRound:
        signing_round = self._rounds.get(signing_session_id)
        if signing_round is None:
            raise InvalidInput("signing_session_id", "is not known to this enclave", "use a new signing session")
        return signing_round
