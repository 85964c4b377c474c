"""Backups: the database as of one instant, copied while it is in use, with the sealed seed and what they must hash to.

A backup is a directory. It opens with the seed's passphrase, which is not in it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec

from coordinator.adapters.store.inspection import Inspection, inspect_database, read_only, revision_of
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.units import UnixTime

MANIFEST: Final = "backup.json"
FORMAT: Final = 1
_CHUNK: Final = 1 << 20


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a backup holds."""

    format: int
    made_at: UnixTime
    revision: str
    files: dict[str, str]
    """SHA256 (hex) by name."""


def make_backup(data: Path, target: Path, names: tuple[str, ...], now: UnixTime) -> Manifest:
    """Copy a data directory's database, the first of `names`, and the files beside it. `target` appears whole or not at
    all, and is looked at before it does.

    Raises InvalidInput for a target that exists, a file that is missing, or a database that is damaged.
    """
    if target.exists():
        raise _refused("TARGET", "exists already", "give a directory that is not there yet")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        draft.mkdir(parents=True, mode=0o700)
        revision = _copy_database(data / names[0], draft / names[0])
        for name in names[1:]:
            _copy(data / name, draft / name)
        files = {name: _sha256(draft / name) for name in names}
        manifest = Manifest(format=FORMAT, made_at=now, revision=revision, files=files)
        _write(draft / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
        verify_backup(draft)
        draft.rename(target)
        _sync(target.parent)
    except OSError as error:
        raise _refused("TARGET", f"cannot be written: {error.strerror}", "give another directory") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return manifest


def verify_backup(backup: Path) -> tuple[Manifest, Inspection]:
    """Compare a backup's files with its manifest and read every row. Raises InvalidInput for the first thing wrong."""
    manifest = _manifest(backup)
    for name, wanted in manifest.files.items():
        path = backup / name
        if not path.is_file():
            raise _refused(name, "is missing", "take another backup")
        if _sha256(path) != wanted:
            raise _refused(name, "is not what was backed up", "take another backup")
    inspection = inspect_database(backup / next(iter(manifest.files)))
    if inspection.findings:
        first = inspection.findings[0]
        raise _refused(first.where, first.reason, "take another backup, or the release that made it")
    return manifest, inspection


def restore_backup(backup: Path, data: Path) -> Manifest:
    """Put a verified backup's files into a data directory that has none of them. Raises InvalidInput."""
    manifest, _ = verify_backup(backup)
    present = [name for name in manifest.files if (data / name).exists()]
    if present:
        reason = f"has {present[0]} already"
        raise _refused("data_dir", reason, "move what is there away: nothing is written over")
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    # The database comes last: without it a half restored directory is no coordinator's.
    for name in reversed(list(manifest.files)):
        draft = data / f".{name}.restored"
        _copy(backup / name, draft)
        draft.rename(data / name)
    _sync(data)
    return manifest


def _manifest(backup: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode((backup / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise _refused("BACKUP", f"has no {MANIFEST}: {error.strerror}", "give a directory of `backup`") from error
    except msgspec.MsgspecError as error:
        raise _refused(MANIFEST, f"cannot be read: {error}", "take another backup") from error
    if manifest.format != FORMAT or not manifest.files:
        raise _refused(MANIFEST, f"has format {manifest.format}", "use the release that made it")
    if any(Path(name).name != name for name in manifest.files):
        raise _refused(MANIFEST, "names a file outside of the backup", "take another backup")
    return manifest


def _copy_database(source: Path, target: Path) -> str:
    """One step of SQLite's backup reads one snapshot: writers go on beside it. The revision of the schema."""
    target.touch(0o600)
    with closing(read_only(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)
        # One file, without a journal beside it.
        copy.execute("PRAGMA journal_mode=DELETE")
        revision = revision_of(copy)
    _sync(target)
    return revision


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise _refused(source.name, "is not there", "back up the coordinator's data_dir")
    _write(target, source.read_bytes())


def _write(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _refused(field: str, reason: str, fix: str) -> InvalidInput:
    return InvalidInput(field, reason, fix, fault=Fault.COORDINATOR)
