"""What survives kill -9: an append-only journal of blocks, and a small state file that is replaced as a whole.

A record is length (4 bytes), checksum (first 4 bytes of SHA256), block. `append` returns after fsync, so a block
is on disk before anyone hears of it. A record cut off by a crash was never acknowledged; opening drops it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Final

from coordinator.embedded.node.errors import DataDirectoryInUse, JournalDamaged
from coordinator_core.errors import Misuse

try:
    import fcntl
except ImportError:  # Windows has no flock; there the lock file is only opened, and two nodes are not kept apart.
    fcntl = None

MAGIC: Final = b"regtest block journal 1\n"
_FRAME: Final = 8


class DirectoryLock:
    """Holds a data directory for this process until `release`. Raises DataDirectoryInUse."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = open(directory / "node.lock", "a+b")  # noqa: SIM115 - held open on purpose
        if fcntl is None:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise DataDirectoryInUse(f"{directory} is in use by another node: stop it or choose another") from None

    def release(self) -> None:
        """Let another process have the directory."""
        self._file.close()


class BlockJournal:
    """The blocks this node accepted, in the order of their arrival."""

    def __init__(self, path: Path) -> None:
        content = path.read_bytes() if path.exists() else b""
        if content and not content.startswith(MAGIC) and not MAGIC.startswith(content):
            raise JournalDamaged(f"{path} is no block journal: move it away to start a new chain")
        self._blocks, end = _records(content, path)
        self._file: BinaryIO | None = open(path, "ab")  # noqa: SIM115 - held open until close()
        if end < len(MAGIC):
            self._file.truncate(0)
            self._file.write(MAGIC)
        elif end < len(content):
            self._file.truncate(end)
        self._sync()

    def blocks(self) -> list[bytes]:
        """The blocks found on opening; they are handed out once and not kept."""
        found, self._blocks = self._blocks, []
        return found

    def append(self, blocks: Iterable[bytes]) -> None:
        """Write blocks and wait until the disk has them."""
        file = self._opened()
        for block in blocks:
            file.write(len(block).to_bytes(4, "little") + sha256(block).digest()[:4] + block)
        self._sync()

    def _opened(self) -> BinaryIO:
        if self._file is None:
            raise Misuse("the block journal was used after it was closed")
        return self._file

    def _sync(self) -> None:
        file = self._opened()
        file.flush()
        os.fsync(file.fileno())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _records(content: bytes, path: Path) -> tuple[list[bytes], int]:
    """The whole records, and where the last of them ends."""
    if len(content) < len(MAGIC):
        return [], 0
    blocks: list[bytes] = []
    position = len(MAGIC)
    while position + _FRAME <= len(content):
        length = int.from_bytes(content[position : position + 4], "little")
        checksum = content[position + 4 : position + _FRAME]
        end = position + _FRAME + length
        if end > len(content):
            break
        block = content[position + _FRAME : end]
        if sha256(block).digest()[:4] != checksum:
            if end == len(content):
                break
            raise JournalDamaged(f"{path}: the record at byte {position} is damaged: move the file away")
        blocks.append(block)
        position = end
    return blocks, position


class StateFile:
    """A small JSON object that is replaced atomically."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[str, Any]:
        """The last object written, empty before the first. Raises JournalDamaged."""
        try:
            state = json.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValueError:
            state = None
        if not isinstance(state, dict):
            raise JournalDamaged(f"{self._path} is not the state of a node: move it away")
        return state

    def write(self, state: dict[str, Any]) -> None:
        """Replace the object; after a crash the file holds either the former or the new one."""
        beside = self._path.with_suffix(".new")
        with open(beside, "wb") as file:
            file.write(json.dumps(state).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self._path)
