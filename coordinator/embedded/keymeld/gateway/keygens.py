"""Storing keygen sessions and their participants."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from coordinator.embedded.keymeld.authorization.manifest import SignedSessionManifest
from coordinator.embedded.keymeld.authorization.recipients import SessionInitialization
from coordinator.embedded.keymeld.enclave.commands import KeygenResult
from coordinator.embedded.keymeld.errors import BadRequest, Conflict, NotFound
from coordinator.embedded.keymeld.gateway.database import Database
from coordinator.embedded.keymeld.gateway.records import (
    Assignments,
    KeygenRecord,
    KeygenState,
    Participant,
)
from coordinator.embedded.keymeld.gateway.wire import RegisterRequest
from coordinator.embedded.keymeld.limits import KEYGEN_RETENTION

_encode = msgspec.json.encode
_T = TypeVar("_T")


class KeygenStore:
    """Rows of `keygen` and `participant`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def reserve(
        self,
        manifest: SignedSessionManifest,
        coordinator_enclave: int,
        assignments: Assignments,
        now: int,
        expires_at: int,
    ) -> None:
        """Raises BadRequest when the id was ever used."""
        keygen_id = manifest.manifest.keygen_session_id
        values = (
            keygen_id,
            KeygenState.RESERVED,
            _encode(manifest),
            coordinator_enclave,
            _encode(assignments),
            now,
            expires_at,
        )
        with self._database.transaction() as connection:
            inserted = connection.execute(
                "INSERT OR IGNORE INTO keygen (id, state, manifest, coordinator_enclave, assignments, created_at,"
                " expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        if inserted.rowcount != 1:
            raise BadRequest("Keygen session already exists")

    def get(self, keygen_id: str) -> KeygenRecord:
        """Raises NotFound."""
        rows = self._database.rows(
            "SELECT id, state, manifest, coordinator_enclave, assignments, created_at, expires_at, initialization,"
            " sealed_secrets, peers, result FROM keygen WHERE id = ?",
            keygen_id,
        )
        if not rows:
            raise NotFound("Keygen session not found")
        row = rows[0]
        return KeygenRecord(
            id=row[0],
            state=KeygenState(row[1]),
            signed_manifest=msgspec.json.decode(row[2], type=SignedSessionManifest),
            coordinator_enclave=row[3],
            assignments=msgspec.json.decode(row[4], type=Assignments),
            created_at=row[5],
            expires_at=row[6],
            initialization=_optional(row[7], SessionInitialization),
            sealed_secrets=_optional(row[8], dict[int, str]),
            peers=_optional(row[9], dict[int, list[str]]),
            result=_optional(row[10], KeygenResult),
        )

    def initialize(self, keygen_id: str, request: SessionInitialization, secrets: dict[int, str]) -> None:
        """Raises BadRequest unless the session is still reserved."""
        with self._database.transaction() as connection:
            updated = connection.execute(
                "UPDATE keygen SET state = ?, initialization = ?, sealed_secrets = ? WHERE id = ? AND state = ?",
                (KeygenState.COLLECTING, _encode(request), _encode(secrets), keygen_id, KeygenState.RESERVED),
            )
        if updated.rowcount != 1:
            raise BadRequest("Session is not in reserved state. It may have already been initialized or expired.")

    def complete(self, keygen_id: str, peers: dict[int, list[str]], result: KeygenResult) -> None:
        """Store what the enclaves made, unless the session failed meanwhile."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE keygen SET state = ?, peers = ?, result = ? WHERE id = ? AND state = ?",
                (KeygenState.COMPLETED, _encode(peers), _encode(result), keygen_id, KeygenState.COLLECTING),
            )

    def fail(self, keygen_id: str) -> None:
        """An unfinished session ends; a completed one stays."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE keygen SET state = ? WHERE id = ? AND state != ?",
                (KeygenState.FAILED, keygen_id, KeygenState.COMPLETED),
            )

    def claim(self, keygen_id: str, request: RegisterRequest) -> int:
        """Claim a slot and return how many are claimed; an identical repetition changes nothing.

        Raises Conflict when the slot holds another registration or the session stopped collecting.
        """
        body = _encode(request)
        with self._database.transaction() as connection:
            state = connection.execute("SELECT state FROM keygen WHERE id = ?", (keygen_id,)).fetchone()
            if state is None or state[0] != KeygenState.COLLECTING:
                raise Conflict("Keygen session is not collecting participants")
            values = (keygen_id, request.user_id, body)
            connection.execute("INSERT OR IGNORE INTO participant VALUES (?, ?, ?)", values)
            rows = connection.execute(
                "SELECT user_id, request FROM participant WHERE keygen_id = ?", (keygen_id,)
            ).fetchall()
        if dict(rows)[request.user_id] != body:
            raise Conflict("Participant slot is already claimed")
        return len(rows)

    def participants(self, keygen_id: str) -> list[Participant]:
        """Claimed slots, by user id."""
        rows = self._database.rows(
            "SELECT user_id, request FROM participant WHERE keygen_id = ? ORDER BY user_id", keygen_id
        )
        return [Participant(user, msgspec.json.decode(body, type=RegisterRequest)) for user, body in rows]

    def in_state(self, *states: KeygenState) -> list[str]:
        """Ids of sessions in these states."""
        return [row[0] for row in self._database.rows("SELECT id, state FROM keygen") if row[1] in states]

    def participant_count(self) -> int:
        """Claimed slots of all sessions."""
        return self._database.rows("SELECT count(*) FROM participant")[0][0]

    def drop_old(self, now: int) -> list[str]:
        """Delete families past their retention, with everything that belongs to them; returns their ids."""
        with self._database.transaction() as connection:
            rows = connection.execute(
                "DELETE FROM keygen WHERE created_at < ? RETURNING id", (now - KEYGEN_RETENTION,)
            ).fetchall()
        return [row[0] for row in rows]


def _optional(blob: bytes | None, kind: type[_T]) -> _T | None:
    return None if blob is None else msgspec.json.decode(blob, type=kind)
