"""Many competitions out of a few: rows of a stopped coordinator's database, copied under new ids."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from coordinator.adapters.store.tables import metadata

LEFT_OUT: Final = frozenset({"inbox", "audit", "reservation", "secret"})
"""What was asked and answered once, what cannot belong to two, and what is sealed for one."""
NUMBERED: Final = "seq"


def multiply(database: Path, template: str, count: int, first: int = 0) -> None:
    """Add `count` copies of a competition, numbered from `first`: states, facts, log, duties with their attempts and
    pins, watches, timers, hits. Outside they share one contract and one set of invoices.
    """
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        for name, columns, rows in _rows(connection, template):
            marks = ", ".join("?" for _ in columns)
            insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})"
            for number in range(first, first + count):
                other = _renumbered(template, number)
                connection.executemany(insert, [tuple(_moved(value, template, other) for value in row) for row in rows])


def _rows(connection: sqlite3.Connection, template: str) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    for table in metadata.sorted_tables:
        if table.name in LEFT_OUT:
            continue
        columns = [column.name for column in table.columns if column.name != NUMBERED]
        key = next((name for name in ("lane", "duty", "id") if name in columns), None)
        if key is None:
            continue
        # Ids of duties begin with their competition.
        query = f"SELECT {', '.join(columns)} FROM {table.name} WHERE {key} = ? OR {key} LIKE ?"
        yield table.name, columns, connection.execute(query, (template, f"{template}/%")).fetchall()


def _renumbered(template: str, number: int) -> str:
    """An id of the same form; those of the templates end with random digits."""
    return f"{template[:-8]}{number:08x}"


def _moved(value: object, template: str, other: str) -> object:
    if isinstance(value, str):
        return value.replace(template, other)
    if isinstance(value, bytes):
        return value.replace(template.encode(), other.encode())
    return value
