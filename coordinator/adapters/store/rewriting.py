"""Rows of earlier versions written again as this release writes them, all at once instead of when they next change."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import Column, Table, select, update
from sqlalchemy.sql.elements import ColumnElement

from coordinator.adapters.store import tables as t
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.domain.versions import DUTIES, FACTS, STATES, Codec

BATCH: Final = 500
_PLACES: Final[tuple[tuple[Codec[Any], Table, Column[Any], Column[Any]], ...]] = (
    (STATES, t.state_row, t.state_row.c.state, t.state_row.c.data),
    (FACTS, t.fact, t.fact.c.kind, t.fact.c.body),
    (DUTIES, t.duty, t.duty.c.kind, t.duty.c.args),
)


async def rewrite(store: SqliteStore) -> int:
    """Bring every row to the present version, a batch a transaction; how many were written. Raises UnreadableRow: the
    batches before it stay written, and running it again goes on from there.
    """
    written = 0
    for codec, table, tag, body in _PLACES:
        for name in codec.types:
            while batch := await _rewrite_batch(store, codec, table, tag == name, (tag, body)):
                written += batch
    return written


async def _rewrite_batch(
    store: SqliteStore,
    codec: Codec[Any],
    table: Table,
    of_tag: ColumnElement[bool],
    columns: tuple[Column[Any], Column[Any]],
) -> int:
    tag, body = columns
    keys = list(table.primary_key.columns)
    async with store.write_connection() as connection:
        wanted = select(*keys, tag.label("tag_"), table.c.v, body.label("body_"))
        # Every row of one tag has the same present version.
        sample = (await connection.execute(wanted.where(of_tag).order_by(table.c.v).limit(BATCH))).all()
        rows = [row for row in sample if row.v < codec.version(row.tag_)]
        for row in rows:
            here = [key == getattr(row, key.name) for key in keys]
            name = "/".join(str(getattr(row, key.name)) for key in keys)
            found = codec.decode(row.tag_, row.v, row.body_, name)
            values = {"v": codec.version(row.tag_), body.name: msgspec.json.encode(found)}
            await connection.execute(update(table).where(*here).values(values))
    return len(rows)
