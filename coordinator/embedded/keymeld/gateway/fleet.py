"""All enclaves of this gateway: assignment of users, and opening sessions again after a restart."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from coordinator.embedded.keymeld.enclave.commands import InitKeygen, SealedRegistration
from coordinator.embedded.keymeld.enclave.enclave import Enclave
from coordinator.embedded.keymeld.enclave.identity import EnclaveIdentity
from coordinator.embedded.keymeld.errors import EnclaveUnavailable
from coordinator.embedded.keymeld.gateway.database import Database
from coordinator.embedded.keymeld.gateway.records import Assignments, KeygenRecord, Participant
from coordinator_core.errors import Misuse
from coordinator_core.secp256k1 import sha256


class Fleet:
    """Enclaves by id, from 0."""

    def __init__(self, directory: Path, count: int, database: Database, clock: Callable[[], int]) -> None:
        self._database = database
        self._restoring = threading.Lock()
        self.enclaves: dict[int, Enclave] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for enclave_id in range(count):
            seen = database.rows("SELECT epoch FROM enclave WHERE id = ?", enclave_id)
            # A lost key file must not bring an epoch back that clients already pinned.
            minimum_epoch = seen[0][0] + 1 if seen else 1
            identity = EnclaveIdentity(directory / f"enclave-{enclave_id}.json", enclave_id, clock(), minimum_epoch)
            self.enclaves[enclave_id] = Enclave(identity, clock)
            self.record_epoch(enclave_id)

    def record_epoch(self, enclave_id: int) -> None:
        """Remember the epoch that is served, so that it only rises."""
        with self._database.transaction() as connection:
            epoch = self.enclaves[enclave_id].identity.epoch
            connection.execute("INSERT OR REPLACE INTO enclave VALUES (?, ?)", (enclave_id, epoch))

    def get(self, enclave_id: int) -> Enclave:
        """Raises EnclaveUnavailable for an unknown id."""
        enclave = self.enclaves.get(enclave_id)
        if enclave is None:
            raise EnclaveUnavailable(f"Enclave {enclave_id} not found")
        return enclave

    def assign(self, keygen_id: str, coordinator: str, users: Sequence[str]) -> Assignments:
        """The coordinator by a hash of the session, the others in descending order round-robin.

        With several enclaves at least two are used.
        """
        ids = sorted(self.enclaves)
        home = ids[int.from_bytes(sha256(keygen_id.encode())[:8], "big") % len(ids)]
        others = sorted((user for user in users if user != coordinator), reverse=True)
        assigned = {user: ids[index % len(ids)] for index, user in enumerate(others)}
        if len(ids) > 1 and set(assigned.values()) == {home}:
            assigned[others[0]] = next(enclave for enclave in ids if enclave != home)
        assigned[coordinator] = home
        epochs = {enclave: self.enclaves[enclave].identity.epoch for enclave in set(assigned.values())}
        return Assignments(users=assigned, epochs=epochs)

    def init_command(self, record: KeygenRecord, enclave_id: int, sealed_secret: str) -> InitKeygen:
        """The command that opens a session on one enclave."""
        manifest = record.manifest
        recipients = record.initialized().recipient_authorization
        serves = enclave_id == record.coordinator_enclave
        return InitKeygen(
            manifest=record.signed_manifest,
            recipients=recipients,
            encrypted_session_secret=sealed_secret,
            coordinator_user_id=manifest.coordinator_user_id if serves else None,
            expected_participants=record.expected,
            timeout_secs=manifest.timeout_secs,
            encrypted_taproot_tweak=manifest.encrypted_taproot_tweak,
            subset_definitions=manifest.subset_definitions,
            enclave_public_keys={e: bytes(key).hex() for e, key in recipients.recipient_public_keys.items()},
        )

    def open(self, record: KeygenRecord, participants: Sequence[Participant]) -> list[Enclave]:
        """The enclaves of a session, with the session open on each; replays what was sealed to them if it is not.

        Raises EnclaveRejected when an enclave has another key now.
        """
        if record.sealed_secrets is None:
            raise Misuse(f"keygen session {record.id} was never initialized")
        with self._restoring:
            enclaves = [self.get(enclave_id) for enclave_id in record.enclaves]
            for enclave in enclaves:
                if not enclave.holds(record.id):
                    self._replay(record, participants, enclave, record.sealed_secrets[enclave.enclave_id])
        return enclaves

    def _replay(
        self, record: KeygenRecord, participants: Sequence[Participant], enclave: Enclave, sealed_secret: str
    ) -> None:
        enclave.init_keygen(self.init_command(record, enclave.enclave_id, sealed_secret))
        if record.peers is not None:
            enclave.add_participants(record.id, own_registrations(record, participants, enclave.enclave_id))
            enclave.add_peers(record.id, record.peers[enclave.enclave_id])

    def drop(self, keygen_id: str) -> None:
        """Wipe a session on every enclave."""
        for enclave in self.enclaves.values():
            enclave.drop_keygen(keygen_id)


def own_registrations(
    record: KeygenRecord, participants: Sequence[Participant], enclave_id: int
) -> list[SealedRegistration]:
    """The registrations assigned to one enclave."""
    return [
        SealedRegistration(p.request.registration_authorization, p.request.encrypted_private_key)
        for p in participants
        if record.assignments.users[p.user_id] == enclave_id
    ]
