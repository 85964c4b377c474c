"""The gateway's SQLite file: one connection, one writer, every commit synchronous."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keygen (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    manifest BLOB NOT NULL,
    coordinator_enclave INTEGER NOT NULL,
    assignments BLOB NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    initialization BLOB,
    sealed_secrets BLOB,
    peers BLOB,
    result BLOB
);
CREATE TABLE IF NOT EXISTS participant (
    keygen_id TEXT NOT NULL REFERENCES keygen (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    request BLOB NOT NULL,
    PRIMARY KEY (keygen_id, user_id)
);
CREATE TABLE IF NOT EXISTS signing (
    id TEXT PRIMARY KEY,
    keygen_id TEXT NOT NULL REFERENCES keygen (id) ON DELETE CASCADE,
    state TEXT NOT NULL,
    request BLOB NOT NULL,
    expires_at INTEGER NOT NULL,
    results BLOB
);
CREATE INDEX IF NOT EXISTS signing_of_keygen ON signing (keygen_id);
CREATE TABLE IF NOT EXISTS approval (
    signing_id TEXT NOT NULL REFERENCES signing (id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    approval BLOB NOT NULL,
    PRIMARY KEY (signing_id, user_id)
);
CREATE TABLE IF NOT EXISTS replay (key TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS replay_expiry ON replay (expires_at);
CREATE TABLE IF NOT EXISTS enclave (id INTEGER PRIMARY KEY, epoch INTEGER NOT NULL);
"""


class Database:
    """Transactions over one SQLite connection, shared by threads under a lock."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(f"BEGIN;{_SCHEMA}COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE … COMMIT; rolled back when the body raises."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def rows(self, sql: str, *parameters: object) -> list[tuple]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
