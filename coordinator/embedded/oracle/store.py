"""Events, entries, scripted weather and settings on disk, in SQLite with full synchronization.

All calls are short and come from the thread of the event loop. One attestation an event: a second is refused
by the statement that writes it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

import msgspec

from coordinator.embedded.oracle.records import Entry, Event, Progress, SettlementBlock
from coordinator.embedded.oracle.scoring import Pick, Reading, Scored
from coordinator.embedded.oracle.weather import ScriptedValue

_SCHEMA = """
CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS event (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL,
  points BLOB NOT NULL, readings BLOB NOT NULL DEFAULT X'5B5D',
  refreshed_at INTEGER, block BLOB, attestation BLOB,
  settled_without_entries_at INTEGER) STRICT;
CREATE TABLE IF NOT EXISTS entry (
  event_id TEXT NOT NULL REFERENCES event(id), id TEXT NOT NULL, picks BLOB NOT NULL, score INTEGER,
  base_score INTEGER, PRIMARY KEY (event_id, id)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observation (
  station_id TEXT NOT NULL, metric TEXT NOT NULL, time INTEGER NOT NULL, value REAL,
  PRIMARY KEY (station_id, metric, time)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forecast (
  station_id TEXT NOT NULL, metric TEXT NOT NULL, time INTEGER NOT NULL, issued_at INTEGER NOT NULL,
  value REAL, PRIMARY KEY (station_id, metric, time, issued_at)) STRICT, WITHOUT ROWID;
"""
_EVENTS = (
    "SELECT e.body, e.readings, e.refreshed_at, e.block, e.attestation, e.settled_without_entries_at,"
    " (SELECT count(*) FROM entry WHERE entry.event_id = e.id) FROM event e"
)


_LISTED = " WHERE ? OR e.id IN (SELECT value FROM json_each(?)) ORDER BY e.sequence DESC LIMIT ?"


class DuplicateEvent(Exception):
    """An event with this id is stored already."""


class Store:
    """The oracle's database. `path` may be `:memory:`."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def setting(self, name: str) -> bytes | None:
        """A setting by name."""
        row = self._db.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_setting(self, name: str, value: bytes) -> None:
        """Keep a setting."""
        self._db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def add_event(self, event: Event, points: Sequence[bytes]) -> None:
        """Store a new event with its locking points. Raises DuplicateEvent."""
        try:
            self._db.execute(
                "INSERT INTO event (id, body, points) VALUES (?, ?, ?)",
                (str(event.id), msgspec.json.encode(event), b"".join(points)),
            )
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorname != "SQLITE_CONSTRAINT_UNIQUE":
                raise
            raise DuplicateEvent(str(event.id)) from error

    def event(self, event_id: UUID) -> tuple[Event, Progress] | None:
        """An event by id."""
        row = self._db.execute(_EVENTS + " WHERE e.id = ?", (str(event_id),)).fetchone()
        return None if row is None else _event(row)

    def events(self, ids: Sequence[UUID], limit: int) -> list[tuple[Event, Progress]]:
        """Events newest first; all of them when `ids` is empty."""
        wanted = msgspec.json.encode([str(event_id) for event_id in ids]).decode()
        rows = self._db.execute(
            _EVENTS + _LISTED,
            (not ids, wanted, limit),
        )
        return [_event(row) for row in rows]

    def unsettled(self) -> list[tuple[Event, Progress]]:
        """Events that have neither an attestation nor been closed, oldest first."""
        rows = self._db.execute(
            _EVENTS + " WHERE e.attestation IS NULL AND e.settled_without_entries_at IS NULL ORDER BY e.sequence"
        )
        return [_event(row) for row in rows]

    def points(self, event_id: UUID) -> list[bytes]:
        """Locking points of an event, 33 bytes each."""
        row = self._db.execute("SELECT points FROM event WHERE id = ?", (str(event_id),)).fetchone()
        return [row[0][start : start + 33] for start in range(0, len(row[0]), 33)]

    def entries(self, event_id: UUID) -> list[Entry]:
        """Entries of an event in the order of their ids."""
        rows = self._db.execute(
            "SELECT id, picks, score, base_score FROM entry WHERE event_id = ? ORDER BY id", (str(event_id),)
        )
        return [
            Entry(UUID(row[0]), event_id, msgspec.json.decode(row[1], type=tuple[Pick, ...]), row[2], row[3])
            for row in rows
        ]

    def add_entries(self, event_id: UUID, entries: Iterable[Entry]) -> bool:
        """Store the whole set at once; False when the event has entries already."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            if self._db.execute("SELECT 1 FROM entry WHERE event_id = ?", (str(event_id),)).fetchone():
                return False
            self._db.executemany(
                "INSERT INTO entry (event_id, id, picks) VALUES (?, ?, ?)",
                [(str(event_id), str(entry.id), msgspec.json.encode(entry.picks)) for entry in entries],
            )
        return True

    def save_readings(self, event_id: UUID, readings: Sequence[Reading], scored: Sequence[Scored], now: int) -> None:
        """Keep provisional readings and scores, and forget an earlier failure."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._write_readings(event_id, readings, scored, now)

    def save_attestation(
        self,
        event_id: UUID,
        attestation: bytes,
        readings: Sequence[Reading],
        scored: Sequence[Scored],
        now: int,
    ) -> bool:
        """Keep attestation, readings and scores together; False when the event is attested already."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            written = self._db.execute(
                "UPDATE event SET attestation = ? WHERE id = ? AND attestation IS NULL"
                " AND settled_without_entries_at IS NULL",
                (attestation, str(event_id)),
            )
            if written.rowcount == 0:
                return False
            self._write_readings(event_id, readings, scored, now)
        return True

    def save_block(self, event_id: UUID, block: SettlementBlock) -> None:
        """Keep why settlement failed."""
        self._db.execute("UPDATE event SET block = ? WHERE id = ?", (msgspec.json.encode(block), str(event_id)))

    def close_without_entries(self, event_id: UUID, now: int) -> None:
        """Mark an event that reached its signing date with nothing to sign."""
        self._db.execute(
            "UPDATE event SET settled_without_entries_at = ? WHERE id = ? AND attestation IS NULL",
            (now, str(event_id)),
        )

    def script(self, values: Sequence[ScriptedValue]) -> None:
        """Keep scripted weather; a value for the same moment replaces the earlier one."""
        observed = [(v.station_id, v.metric, v.time, v.value) for v in values if v.issued_at is None]
        forecast = [(v.station_id, v.metric, v.time, v.issued_at, v.value) for v in values if v.issued_at is not None]
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR REPLACE INTO observation VALUES (?, ?, ?, ?)", observed)
            self._db.executemany("INSERT OR REPLACE INTO forecast VALUES (?, ?, ?, ?, ?)", forecast)

    def observations(self, station_id: str, metric: str, start: int, end: int) -> Sequence[float | None]:
        """Scripted observations with start <= time < end, in time order."""
        rows = self._db.execute(
            "SELECT value FROM observation WHERE station_id = ? AND metric = ? AND time >= ? AND time < ?"
            " ORDER BY time",
            (station_id, metric, start, end),
        )
        return [row[0] for row in rows]

    def forecast(
        self, station_id: str, metric: str, window: tuple[int, int], issued: tuple[int, int]
    ) -> tuple[float | None] | None:
        """The latest scripted forecast for the window issued within `issued`, both included."""
        return self._db.execute(
            "SELECT value FROM forecast WHERE station_id = ? AND metric = ? AND time >= ? AND time < ?"
            " AND issued_at >= ? AND issued_at <= ? ORDER BY issued_at DESC, time DESC LIMIT 1",
            (station_id, metric, *window, *issued),
        ).fetchone()

    def _write_readings(self, event_id: UUID, readings: Sequence[Reading], scored: Sequence[Scored], now: int) -> None:
        self._db.execute(
            "UPDATE event SET readings = ?, refreshed_at = ?, block = NULL WHERE id = ?",
            (msgspec.json.encode(readings), now, str(event_id)),
        )
        self._db.executemany(
            "UPDATE entry SET score = ?, base_score = ? WHERE event_id = ? AND id = ?",
            [(entry.score, entry.base_score, str(event_id), str(entry.id)) for entry in scored],
        )


def _event(
    row: tuple[bytes, bytes, int | None, bytes | None, bytes | None, int | None, int],
) -> tuple[Event, Progress]:
    body, readings, refreshed_at, block, attestation, closed_at, total = row
    progress = Progress(
        readings=msgspec.json.decode(readings, type=tuple[Reading, ...]),
        refreshed_at=refreshed_at,
        block=None if block is None else msgspec.json.decode(block, type=SettlementBlock),
        attestation=attestation,
        settled_without_entries_at=closed_at,
        total_entries=total,
    )
    return msgspec.json.decode(body, type=Event), progress
