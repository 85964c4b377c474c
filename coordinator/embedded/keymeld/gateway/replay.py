"""The table of header proofs that were used (keymeld section 2.2): durable, so that a restart forgets none."""

from __future__ import annotations

from coordinator.embedded.keymeld.gateway.database import Database


class ReplayTable:
    """Claims are kept until the header they belong to has expired by itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, key: str, expires_at: int, now: int) -> bool:
        """True the first time; the claim is on disk when this returns."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM replay WHERE expires_at < ?", (now,))
            inserted = connection.execute("INSERT OR IGNORE INTO replay VALUES (?, ?)", (key, expires_at))
            return inserted.rowcount == 1
