"""The database: sound, readable to its last row, and of the same keys as the seed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from coordinator.adapters.secrets import SealedSecrets, open_seed, unopened
from coordinator.adapters.store.inspection import inspect_database, read_only
from coordinator.cli.doctor.report import Check, Verdict
from coordinator.domain.facts import Published
from coordinator.engine.components import HOUSE
from coordinator.engine.operators.acting import Verb
from coordinator_core.competition.terms import Terms, decode_terms
from coordinator_core.errors import CoreError
from coordinator_core.secret import Secret

SHOWN: Final = 20
_LIVE: Final = "SELECT id FROM lane WHERE terminal_at IS NULL"
KNOWN: Final = (sqlite3.DatabaseError, CoreError, msgspec.MsgspecError)


def database(path: Path) -> Iterator[Check]:
    """Schema, SQLite's own checks, and every row read."""
    if not path.is_file():
        yield Check("database", Verdict.SKIPPED, "is not made yet")
        return
    found = inspect_database(path)
    for finding in found.findings[:SHOWN]:
        fix = (
            "coordinator migrate" if finding.where == "schema" else "run the release that wrote it, or restore a backup"
        )
        yield Check("database", Verdict.FAILED, f"{finding.where}: {finding.reason}", fix)
    if not found.findings:
        rows = ", ".join(f"{number} {kind} rows" for kind, number in found.rows.items()) or "no rows"
        yield Check("database", Verdict.OK, f"revision {found.revision}, {rows}, {found.earlier} of earlier versions")
        yield from _stopped(path)


def _stopped(path: Path) -> Iterator[Check]:
    with closing(read_only(path)) as connection:
        rows = connection.execute("SELECT id, quarantined_reason FROM lane WHERE quarantined_reason IS NOT NULL")
        for row in rows.fetchmany(SHOWN):
            fix = f"coordinator admin resume {row['id']}"
            yield Check("competition", Verdict.WARNING, f"{row['id']} is stopped: {row['quarantined_reason']}", fix)


def keys(data: Path, database_name: str, seed_name: str, passphrase: Secret | None) -> Iterator[Check]:
    """Whether the seed opens, and is the one that made keys and secrets of this database."""
    if passphrase is None:
        yield Check("seed", Verdict.SKIPPED, "no passphrase is given")
        return
    if not (data / seed_name).is_file():
        yield Check("seed", Verdict.SKIPPED, "is not made yet")
        return
    try:
        seed = open_seed(data / seed_name, passphrase)
    except CoreError as error:
        yield Check("seed", Verdict.FAILED, str(error), "give the passphrase that it was made with")
        return
    yield Check("seed", Verdict.OK, "opens")
    if (data / database_name).is_file():
        try:
            yield from _pins(data / database_name, seed)
        except KNOWN as error:
            yield Check("keys", Verdict.SKIPPED, f"the database cannot be read: {error}")


def _pins(path: Path, seed: Secret) -> Iterator[Check]:
    own = SealedSecrets.signing_key_of(seed, "nostr").x_only.hex()
    foreign = sum(terms.coordinator_key != own for terms in published(path))
    if foreign:
        detail = f"{foreign} competitions were published under another key than this seed's"
        yield Check("keys", Verdict.FAILED, detail, "put back the seed that belongs to this database")
    else:
        yield Check("keys", Verdict.OK, "every published competition is under this seed's key")
    with closing(read_only(path)) as connection:
        rows = connection.execute("SELECT lane, name, sealed FROM secret")
        closed = unopened(seed, ((row["lane"], row["name"], row["sealed"]) for row in rows))
    if closed:
        detail = f"{len(closed)} secrets do not open, the first is {closed[0]}"
        yield Check("secrets", Verdict.FAILED, detail, "put back the seed that belongs to this database")
    else:
        yield Check("secrets", Verdict.OK, "all of them open")


def first_keys(path: Path) -> dict[str, frozenset[str]]:
    """Keys of oracle and keymeld by whose they are: the one that was met first, and those that operators accepted."""
    with closing(read_only(path)) as connection:
        pins = connection.execute("SELECT slot, value FROM pin WHERE duty = ?", (HOUSE,)).fetchall()
        acts = connection.execute("SELECT subject FROM audit WHERE act = ?", (Verb.ACCEPT_KEY.value,)).fetchall()
    found = {row["slot"]: {bytes(row["value"]).decode()} for row in pins}
    for whose, _, key in (str(row["subject"]).partition("=") for row in acts):
        found.setdefault(whose, set()).add(key)
    return {whose: frozenset(keys) for whose, keys in found.items()}


def published(path: Path, *, live: bool = False) -> list[Terms]:
    """The terms of every published competition; `live`: of those that have not ended. Raises InvalidInput."""
    query = f"SELECT body FROM fact WHERE kind = ?{f' AND lane IN ({_LIVE})' if live else ''}"  # noqa: S608
    with closing(read_only(path)) as connection:
        bodies = [row["body"] for row in connection.execute(query, (Published.kind(),))]
    facts = [msgspec.json.decode(body, type=Published) for body in bodies]
    return [decode_terms(fact.terms.encode()) for fact in facts]
