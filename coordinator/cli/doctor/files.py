"""Who can read what, how much room there is, and what SQLite it is."""

from __future__ import annotations

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from coordinator.cli.doctor.report import Check, Verdict

LEAST_FREE: Final = 512_000_000
WANTED_FREE: Final = 5_000_000_000
SAFE_SQLITE: Final = (3, 51, 3)
"""From it on a bug is mended that can damage a journal which two connections write and reset at once."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def directory(data: Path) -> Iterator[Check]:
    """The data directory, and room beside it."""
    if not data.is_dir():
        yield Check("data directory", Verdict.SKIPPED, f"{data} is not there yet")
        return
    if data.stat().st_mode & _OTHERS:
        yield Check("data directory", Verdict.FAILED, "others can look into it", f"chmod 700 {data}")
    else:
        yield Check("data directory", Verdict.OK, f"{data}, its owner's alone")
    yield _room(data)


def _room(data: Path) -> Check:
    free = shutil.disk_usage(data).free
    detail = f"{free // 1_000_000:,} MB"
    if free < LEAST_FREE:
        return Check("free disk", Verdict.FAILED, detail, f"make room: at least {LEAST_FREE // 1_000_000} MB")
    if free < WANTED_FREE:
        return Check("free disk", Verdict.WARNING, detail, f"better {WANTED_FREE // 1_000_000:,} MB")
    return Check("free disk", Verdict.OK, detail)


def private(path: Path, name: str, *, ours: bool) -> Check:
    """A file with something secret in it. `ours`: we made it, so nobody else needs it."""
    if not path.is_file():
        return Check(name, Verdict.SKIPPED, f"{path} is not there")
    others = path.stat().st_mode & _OTHERS
    if not others:
        return Check(name, Verdict.OK, "its owner's alone")
    verdict = Verdict.FAILED if ours else Verdict.WARNING
    return Check(name, verdict, f"others may use it (mode {stat.S_IMODE(path.stat().st_mode):o})", f"chmod 600 {path}")


def sqlite() -> Check:
    """The library under the database."""
    detail = f"version {sqlite3.sqlite_version}"
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        return Check("SQLite", Verdict.OK, detail)
    wanted = ".".join(map(str, SAFE_SQLITE))
    fix = f"let no other program write to the database; from {wanted} on that would be safe as well"
    return Check("SQLite", Verdict.WARNING, detail, fix)
