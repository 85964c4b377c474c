"""Storing signing sessions and approvals."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from coordinator.embedded.keymeld.authorization.approval import ParticipantApproval, is_fresh
from coordinator.embedded.keymeld.enclave.commands import ItemResult
from coordinator.embedded.keymeld.errors import BadRequest, NotFound
from coordinator.embedded.keymeld.gateway.database import Database
from coordinator.embedded.keymeld.gateway.records import RUNNING, Approvals, SigningRecord, SigningState
from coordinator.embedded.keymeld.gateway.wire import SigningRequest

_encode = msgspec.json.encode


class SigningStore:
    """Rows of `signing` and `approval`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def exists(self, signing_id: str) -> bool:
        """True if the id was ever used."""
        return bool(self._database.rows("SELECT 1 FROM signing WHERE id = ?", signing_id))

    def count(self, keygen_id: str) -> int:
        """Sessions of a keygen, in whatever state: what the quota counts."""
        return self._database.rows("SELECT count(*) FROM signing WHERE keygen_id = ?", keygen_id)[0][0]

    def total(self) -> int:
        """Sessions of all keygens."""
        return self._database.rows("SELECT count(*) FROM signing")[0][0]

    def create(self, request: SigningRequest, quota: int, expires_at: int) -> None:
        """Insert within the quota, atomically. Raises BadRequest."""
        with self._database.transaction() as connection:
            used = connection.execute(
                "SELECT count(*) FROM signing WHERE keygen_id = ?", (request.keygen_session_id,)
            ).fetchone()[0]
            if used >= quota:
                raise BadRequest(quota_text(quota))
            inserted = connection.execute(
                "INSERT OR IGNORE INTO signing (id, keygen_id, state, request, expires_at) VALUES (?, ?, ?, ?, ?)",
                (
                    request.signing_session_id,
                    request.keygen_session_id,
                    SigningState.COLLECTING,
                    _encode(request),
                    expires_at,
                ),
            )
        if inserted.rowcount != 1:
            raise BadRequest("Signing session already exists")

    def get(self, signing_id: str) -> SigningRecord:
        """Raises NotFound."""
        rows = self._database.rows(
            "SELECT id, keygen_id, state, request, expires_at, results FROM signing WHERE id = ?", signing_id
        )
        if not rows:
            raise NotFound("Signing session not found")
        identifier, keygen_id, state, request, expires_at, results = rows[0]
        return SigningRecord(
            id=identifier,
            keygen_id=keygen_id,
            state=SigningState(state),
            request=msgspec.json.decode(request, type=SigningRequest),
            expires_at=expires_at,
            results=[] if results is None else msgspec.json.decode(results, type=list[ItemResult]),
        )

    def advance(self, signing_id: str, before: SigningState, after: SigningState) -> bool:
        """Move on from one state to the next; False when the session is no longer in `before`."""
        with self._database.transaction() as connection:
            updated = connection.execute(
                "UPDATE signing SET state = ? WHERE id = ? AND state = ?", (after, signing_id, before)
            )
        return updated.rowcount == 1

    def finish(self, signing_id: str, state: SigningState, results: Sequence[ItemResult]) -> None:
        """Completed or failed, once."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE signing SET state = ?, results = ? WHERE id = ? AND state NOT IN (?, ?)",
                (state, _encode(results), signing_id, SigningState.COMPLETED, SigningState.FAILED),
            )

    def approve(self, signing_id: str, approval: ParticipantApproval) -> None:
        """Keep an approval; a later one of the same user replaces it."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO approval VALUES (?, ?, ?)",
                (signing_id, approval.user_id, _encode(approval)),
            )

    def fresh_approvals(self, signing_id: str, now: int) -> Approvals:
        """Approvals that are still valid; expired ones are dropped."""
        rows = self._database.rows("SELECT user_id, approval FROM approval WHERE signing_id = ?", signing_id)
        stored = {user: msgspec.json.decode(blob, type=ParticipantApproval) for user, blob in rows}
        return {user: approval for user, approval in stored.items() if is_fresh(approval.timestamp, now)}

    def running(self) -> list[str]:
        """Sessions whose nonces were lost if the process ended now."""
        return [row[0] for row in self._database.rows("SELECT id, state FROM signing") if row[1] in RUNNING]

    def collecting(self) -> list[str]:
        """Sessions that wait for approvals or for their turn."""
        rows = self._database.rows("SELECT id FROM signing WHERE state = ?", SigningState.COLLECTING)
        return [row[0] for row in rows]

    def unfinished_of(self, keygen_id: str) -> list[str]:
        """Sessions of a keygen that are neither completed nor failed."""
        rows = self._database.rows(
            "SELECT id FROM signing WHERE keygen_id = ? AND state NOT IN (?, ?)",
            keygen_id,
            SigningState.COMPLETED,
            SigningState.FAILED,
        )
        return [row[0] for row in rows]


def quota_text(quota: int) -> str:
    """The message that clients match."""
    return f"Quota exceeded: maximum {quota} signing sessions allowed per keygen session"
