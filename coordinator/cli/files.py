"""Files that commands read and write: bounded, and owner-only from their first byte where they hold a secret."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import click

from coordinator_core.errors import CoreError, InvalidInput
from coordinator_core.secret import Secret
from coordinator_core.transaction import bytes_from_hex

STDIN: Final = "-"
MAX_BYTES: Final = 64_000_000
_OWNER_ONLY: Final = 0o600


def read(path: str | Path, field: str | None = None) -> bytes:
    """A whole file, or standard input for "-". Raises InvalidInput."""
    name = str(path)
    try:
        with click.open_file(name, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(field or name, f"cannot be read: {error.strerror}", "give the path of a file") from None
    if len(data) > MAX_BYTES:
        raise InvalidInput(field or name, f"is longer than {MAX_BYTES} bytes", "give another file")
    return data


@contextmanager
def about(path: str | Path) -> Iterator[None]:
    """Errors about the content of a file say which file it was: the reader of the message may have given several."""
    try:
        yield
    except CoreError as error:
        if str(path) != STDIN and str(path) not in str(error):
            error.add_note(str(path))
        raise


def read_secret(path: str | None, name: str) -> Secret | None:
    """32 bytes of hex from a file, or asked for without echo for "-"; None without a path. Raises InvalidInput."""
    if path is None:
        return None
    if path == STDIN:
        text = str(click.prompt(name.capitalize(), hide_input=True, err=True))
    else:
        text = read(path).decode("ascii", "replace")
    with about(path):
        return Secret(bytes_from_hex(text.strip(), 32, name))


def write(path: Path, data: bytes) -> None:
    """Replace a file by one that only its owner can read; after a crash it is the old one or the new one, whole.

    Raises InvalidInput.
    """
    _place(path, data, lambda draft: draft.replace(path))


def create(path: Path, data: bytes) -> None:
    """As write, but a file that is there by now stays as it is: a key file never changes. Raises InvalidInput."""

    def link(draft: Path) -> None:
        with suppress(FileExistsError):
            path.hardlink_to(draft)
        draft.unlink()

    _place(path, data, link)


def _place(path: Path, data: bytes, finish: Callable[[Path], object]) -> None:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        finish(draft)
    except OSError as error:
        raise InvalidInput(str(path), f"cannot be written: {error.strerror}", "give another directory") from None
