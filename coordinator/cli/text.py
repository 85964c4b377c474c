"""Words of other parties on a terminal."""

from __future__ import annotations

from rich.markup import escape


def one_line(text: object) -> str:
    """A text without line breaks and control characters: nobody else moves the cursor of this terminal."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in _joined(text))


def plain(text: object) -> str:
    """As one_line, and shown as it is where markup is understood."""
    return escape(one_line(text))


def _joined(text: object) -> str:
    return " ".join(str(text).split())
