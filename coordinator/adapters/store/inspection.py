"""Every row of a database looked at, without writing: what a check before a start, a backup and a new release rely on.

Works on a file that a running coordinator has open.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from coordinator.adapters.store.schema import known_revisions, newest_revision
from coordinator.domain.versions import DUTIES, FACTS, STATES, Codec, LaterVersion, UnreadableRow
from coordinator_core.errors import Fault, InvalidInput

PAGE = 1_000
_ROWS = {
    "state": ("SELECT lane AS id, state AS tag, v, data AS body FROM state_row", STATES),
    "fact": ("SELECT lane || '/' || kind || '/' || key AS id, kind AS tag, v, body FROM fact", FACTS),
    "duty": ("SELECT id, kind AS tag, v, args AS body FROM duty", DUTIES),
}


class Finding(msgspec.Struct, frozen=True):
    """Something wrong with a database. `where` names the row or table."""

    where: str
    reason: str


class Inspection(msgspec.Struct, frozen=True):
    """What a database holds, and what is wrong with it."""

    revision: str
    rows: dict[str, int]
    """Rows that were read, by kind."""
    earlier: int
    """Rows of an earlier version than this release writes; they are cast up when they are read."""
    findings: tuple[Finding, ...]


def inspect_database(path: Path, *, deep: bool = True) -> Inspection:
    """Look at a database: SQLite's own checks, its schema, and every state, fact and duty. Raises InvalidInput for a
    file that is none.

    `deep` compares what a row says with what it would say if this release wrote it.
    """
    with closing(read_only(path)) as connection:
        try:
            revision = revision_of(connection)
            findings = [*_integrity(connection), *_schema(revision)]
            if findings:
                return Inspection(revision, {}, 0, tuple(findings))
            counted: Counter[str] = Counter()
            earlier = 0
            for kind, (query, codec) in _ROWS.items():
                for row in connection.execute(query):
                    counted[kind] += 1
                    earlier += row["v"] < codec.version(row["tag"])
                    findings.extend(_judge(codec, row, deep=deep))
        except sqlite3.DatabaseError as error:
            raise _no_database(path, str(error)) from error
    return Inspection(revision, dict(counted), earlier, tuple(findings))


class Unreadable(msgspec.Struct, frozen=True):
    """A row of a competition that goes on, and that this release cannot read."""

    lane: str
    row: str
    reason: str
    is_later: bool
    """Written by a later release."""


_LIVE = """(SELECT id FROM lane WHERE quarantined_reason IS NULL
 AND (terminal_at IS NULL OR id IN (SELECT lane FROM duty WHERE status = 'open')))"""
"""Also of one that is over, while something is still to be done for it; as `reading.unfinished`."""
_LIVE_ROWS = (
    ("SELECT lane, lane AS id, state AS tag, v, data AS body FROM state_row WHERE lane IN {live}", STATES),
    (
        "SELECT lane, lane || '/' || kind || '/' || key AS id, kind AS tag, v, body FROM fact WHERE lane IN {live}",
        FACTS,
    ),
    (
        "SELECT lane, id, kind AS tag, v, args AS body FROM duty WHERE status = 'open' AND lane IN {live}",
        DUTIES,
    ),
)


def unreadable_rows(path: Path) -> Iterator[Unreadable]:
    """Every row of a competition that goes on and is not stopped, as far as it cannot be read. Raises InvalidInput for
    a file that is no database.
    """
    with closing(read_only(path)) as connection:
        try:
            for rows, codec in _LIVE_ROWS:
                query = rows.format(live=_LIVE)
                # One that starts has hundreds of thousands, nearly always all of them good.
                if not _all_read(connection, query, codec):
                    yield from _unread(connection, query, codec)
        except sqlite3.DatabaseError as error:
            raise _no_database(path, str(error)) from error


def _all_read(connection: sqlite3.Connection, query: str, codec: Codec[Any]) -> bool:
    rows = connection.cursor()
    rows.row_factory = None
    rows.execute(query)
    while page := rows.fetchmany(PAGE):
        bodies: defaultdict[tuple[str, int], list[bytes]] = defaultdict(list)
        for _, _, tag, version, body in page:
            bodies[tag, version].append(body)
        if not all(codec.reads_all(tag, version, found) for (tag, version), found in bodies.items()):
            return False
    return True


def _unread(connection: sqlite3.Connection, query: str, codec: Codec[Any]) -> Iterator[Unreadable]:
    for row in connection.execute(query):
        try:
            codec.decode(row["tag"], row["v"], row["body"], row["id"])
        except UnreadableRow as error:
            unknown = row["tag"] not in codec.types
            yield Unreadable(row["lane"], error.row, error.reason, unknown or isinstance(error, LaterVersion))


def schema_of(path: Path) -> tuple[str, bool]:
    """The revision of a database, and whether this release knows it: it works with it, or migrates it. Raises
    InvalidInput for a file that is no database.
    """
    with closing(read_only(path)) as connection:
        try:
            revision = revision_of(connection)
        except sqlite3.DatabaseError as error:
            raise _no_database(path, str(error)) from error
    return revision, revision in known_revisions() or not revision


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write. Raises InvalidInput when there is no such file."""
    if not path.is_file():
        raise _no_database(path, "is not there")
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def revision_of(connection: sqlite3.Connection) -> str:
    """The schema that a database has; nothing for one that has none."""
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        return ""
    return "" if row is None else str(row[0])


def canonical_hash(body: bytes) -> str:
    """SHA256 of a JSON document with its members in one order."""
    return hashlib.sha256(msgspec.json.encode(msgspec.json.decode(body), order="sorted")).hexdigest()


def _integrity(connection: sqlite3.Connection) -> Iterator[Finding]:
    for (said,) in connection.execute("PRAGMA integrity_check"):
        if said != "ok":
            yield Finding("database", str(said))
    for row in connection.execute("PRAGMA foreign_key_check"):
        yield Finding(f"{row[0]} {row[1]}", f"refers to a row of {row[2]} that is not there")


def _schema(revision: str) -> Iterator[Finding]:
    head = newest_revision()
    if revision != head:
        yield Finding("schema", f"is at revision {revision or 'none'}, this release works with {head}")


def _judge(codec: Codec[Any], row: sqlite3.Row, *, deep: bool) -> Iterator[Finding]:
    name = f"{codec.kind} {row['id']}"
    try:
        body = codec.present(row["tag"], row["v"], row["body"], row["id"])
        written = msgspec.json.encode(codec.decode(row["tag"], codec.version(row["tag"]), body, row["id"]))
    except UnreadableRow as error:
        yield Finding(name, error.reason)
        return
    if deep and canonical_hash(body) != canonical_hash(written):
        yield Finding(name, "would be written differently: its struct changed without a new version")


def _no_database(path: Path, reason: str) -> InvalidInput:
    return InvalidInput(path.name, reason, "give a coordinator's database", fault=Fault.COORDINATOR)
