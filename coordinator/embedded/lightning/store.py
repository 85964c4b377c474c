"""The state on disk: SQLite, one row an object, every operation one durable transaction."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

Row = tuple[str, str, bytes | None]
"""Kind, key, and the encoded object; None removes it."""


class Store:
    """Objects by kind and key. A returned write() survives kill -9 and power loss."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=0o600)
        os.chmod(path, 0o600)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS objects ("
            "kind TEXT NOT NULL, key TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID"
        )

    def read(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """All objects of a kind, by key."""
        return iter(self._connection.execute("SELECT key, body FROM objects WHERE kind = ? ORDER BY key", (kind,)))

    def write(self, rows: Iterable[Row]) -> None:
        """Write and remove objects, all or none."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for kind, key, body in rows:
                if body is None:
                    self._connection.execute("DELETE FROM objects WHERE kind = ? AND key = ?", (kind, key))
                else:
                    self._connection.execute(
                        "INSERT OR REPLACE INTO objects (kind, key, body) VALUES (?, ?, ?)", (kind, key, body)
                    )
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
