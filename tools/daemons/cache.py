"""Finished builds in a folder of the user: published whole or not at all, one builder at a time."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path


def root(environment: Mapping[str, str] | None = None) -> Path:
    """Where builds are kept: `coordinator-daemons` under XDG_CACHE_HOME, or under ~/.cache."""
    env = os.environ if environment is None else environment
    base = env.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base, "coordinator-daemons")


def obtain(folder: Path, build: Callable[[Path, Path], None]) -> Path:
    """`folder`, built if it is not there: `build(scratch, into)` fills `into`; `scratch` is thrown away.

    What a killed builder left is removed by the next one. A second builder waits for the first.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder.with_name(f"{folder.name}.lock")):
        if folder.is_dir():
            return folder
        for left in folder.parent.glob(f"{folder.name}.tmp-*"):
            shutil.rmtree(left)
        scratch = Path(tempfile.mkdtemp(prefix=f"{folder.name}.tmp-", dir=folder.parent))
        try:
            finished = scratch / "finished"
            finished.mkdir()
            build(scratch, finished)
            finished.rename(folder)
        finally:
            shutil.rmtree(scratch)
    return folder


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
