"""Events on disk: SQLite, acknowledged only when they are durable."""

from __future__ import annotations

import json
import sqlite3
from enum import StrEnum
from pathlib import Path
from typing import Final

from coordinator.embedded.relay.event import Event, Retention
from coordinator.embedded.relay.filters import Filter

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS events (
    id TEXT PRIMARY KEY,
    pubkey TEXT NOT NULL,
    kind INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    address TEXT UNIQUE,
    body TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS events_by_time ON events (created_at DESC, id);
CREATE INDEX IF NOT EXISTS events_by_author ON events (pubkey, created_at DESC);
CREATE TABLE IF NOT EXISTS tags (
    event TEXT NOT NULL REFERENCES events ON DELETE CASCADE,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (name, value, event)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tags_by_event ON tags (event);
"""
_QUERY: Final = """
SELECT body FROM events
WHERE (:ids IS NULL OR id IN (SELECT value FROM json_each(:ids)))
  AND (:authors IS NULL OR pubkey IN (SELECT value FROM json_each(:authors)))
  AND (:kinds IS NULL OR kind IN (SELECT value FROM json_each(:kinds)))
  AND (:since IS NULL OR created_at >= :since)
  AND (:until IS NULL OR created_at <= :until)
  AND NOT EXISTS (
    SELECT 1 FROM json_each(:tags) AS wanted
    WHERE NOT EXISTS (
      SELECT 1 FROM tags
      WHERE tags.event = events.id AND tags.name = wanted.key
        AND tags.value IN (SELECT value FROM json_each(wanted.value))))
ORDER BY created_at DESC, id
LIMIT :limit
"""


class Added(StrEnum):
    """What became of an event."""

    STORED = "stored"
    PASSED_ON = "passed on"
    """Ephemeral: for those who listen now."""
    DUPLICATE = "duplicate"
    OUTDATED = "outdated"
    """A newer one has its place."""


class EventStore:
    """The relay's events."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")
        self._connection.execute("PRAGMA foreign_keys = ON")
        self._connection.executescript(_SCHEMA)

    def add(self, event: Event) -> Added:
        """Keep a verified event as its kind demands; durable on return."""
        if event.retention is Retention.EPHEMERAL:
            return Added.PASSED_ON
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            outcome = self._add(event)
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        return outcome

    def _add(self, event: Event) -> Added:
        known = self._connection.execute("SELECT 1 FROM events WHERE id = ?", (event.id,)).fetchone()
        if known is not None:
            return Added.DUPLICATE
        if event.address is not None and not self._make_room(event, event.address):
            return Added.OUTDATED
        body = json.dumps(event.as_json(), ensure_ascii=False, separators=(",", ":"))
        self._connection.execute(
            "INSERT INTO events (id, pubkey, kind, created_at, address, body) VALUES (?, ?, ?, ?, ?, ?)",
            (event.id, event.pubkey, event.kind, event.created_at, event.address, body),
        )
        self._connection.executemany(
            "INSERT INTO tags (event, name, value) VALUES (?, ?, ?)",
            [(event.id, name, value) for name, value in sorted(event.indexed_tags())],
        )
        return Added.STORED

    def _make_room(self, event: Event, address: str) -> bool:
        """Remove the older event at the address; False when the one there stays: newer, or the lower id."""
        row = self._connection.execute("SELECT created_at, id FROM events WHERE address = ?", (address,)).fetchone()
        if row is None:
            return True
        created_at, event_id = row
        if (created_at, event.id) >= (event.created_at, event_id):
            return False
        self._connection.execute("DELETE FROM events WHERE id = ?", (event_id,))
        return True

    def find(self, wanted: Filter) -> list[str]:
        """Stored events that match, newest first, each as its JSON text."""
        parameters = {
            "ids": _json(wanted.ids),
            "authors": _json(wanted.authors),
            "kinds": _json(wanted.kinds),
            "since": wanted.since,
            "until": wanted.until,
            "tags": json.dumps({name: sorted(values) for name, values in wanted.tags.items()}),
            "limit": wanted.limit,
        }
        return [body for (body,) in self._connection.execute(_QUERY, parameters)]

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _json(values: frozenset[str] | frozenset[int] | None) -> str | None:
    return None if values is None else json.dumps(list(values))
