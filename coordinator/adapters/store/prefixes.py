"""Names that begin alike, as a range of their index: LIKE, which SQLite takes for case-insensitive, reads every row."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_


def begins_with(column: ColumnElement[Any], prefix: str) -> ColumnElement[bool]:
    """Whether the text of `column` begins with `prefix`, which is ASCII and not empty (binary collation)."""
    return and_(column >= prefix, column < prefix[:-1] + chr(ord(prefix[-1]) + 1))
