"""Services that outlive the command that started them: under DIR/run a file for each, and a lock for who is at work."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from coordinator.cli import files
from coordinator.cli.dev.processes import Process
from coordinator.cli.stack import START_SECONDS, Child, DidNotStart, last_words
from coordinator_core.competition.documents import decode_strict
from coordinator_core.errors import InvalidInput

STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.05


class Record(Struct, frozen=True, kw_only=True):
    """A started service. They are stopped in the reverse of `order`."""

    order: int
    process: Process


class Background:
    """What runs in the background under a directory."""

    def __init__(self, directory: Path) -> None:
        self._run = directory / "run"

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other commands out of the directory. Raises InvalidInput while one is in there."""
        self._run.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._run / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                reason = "another command is at work there (`coordinator dev`?)"
                raise InvalidInput("--data-dir", reason, "let it end, or give another directory") from None
            yield

    def running(self) -> tuple[str, ...]:
        """Names of the services that run. Raises InvalidInput for a file that is not ours."""
        return tuple(name for name, record in self._records().items() if record.process.runs())

    def refuse_when_running(self) -> None:
        """Raises InvalidInput while services run."""
        if names := self.running():
            raise InvalidInput(
                "--data-dir", f"{', '.join(names)} run there already", "end them with `coordinator stop`"
            )

    def start(self, name: str, arguments: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Child:
        """As cli.stack.start, but the process goes on without us. Raises DidNotStart, InvalidInput."""
        return self.launch(name, [sys.executable, "-m", *arguments], log, environment)

    def launch(self, name: str, command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> Child:
        """Start any program that prints a ready line. Raises DidNotStart, InvalidInput."""
        log.parent.mkdir(parents=True, exist_ok=True)
        said = self._run / f"{name}.out"
        with log.open("ab") as errors, said.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  (our own modules, or daemons that the developer named)
                command,
                stdout=output,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                env={**os.environ, **(environment or {})},
            )
        child = Child(name, process, {}, log)
        try:
            self.adopt(name, process.pid)
            child.ready = _ready_line(child, said)
        except BaseException:
            child.kill()
            self._file(name).unlink(missing_ok=True)
            raise
        return child

    def adopt(self, name: str, pid: int) -> None:
        """Remember a process that somebody else started. Nothing when it has ended. Raises InvalidInput."""
        process = Process.of(pid)
        if process is None:
            return
        record = Record(order=len(self._records()), process=process)
        files.write(self._file(name), msgspec.json.encode(record))

    def stop(self) -> Iterator[tuple[str, str]]:
        """End what was started, the last one first; each name with how it went."""
        records = self._records()
        for name in sorted(records, key=lambda known: -records[known].order):
            process = records[name].process
            if not process.runs():
                how = "had ended"
            else:
                how = "stopped" if process.stop(STOP_SECONDS) else "killed: it did not end"
            self._file(name).unlink(missing_ok=True)
            yield name, how

    def stop_all(self) -> None:
        """End what was started, and say nothing."""
        for _ in self.stop():
            continue

    def _records(self) -> dict[str, Record]:
        found = sorted(self._run.glob("*.pid"))
        return {path.stem: decode_strict(files.read(path), Record, str(path)) for path in found}

    def _file(self, name: str) -> Path:
        return self._run / f"{name}.pid"


def _ready_line(child: Child, said: Path) -> dict[str, Any]:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        has_ended = child.process.poll() is not None
        for line in said.read_text(errors="replace").splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                return json.loads(line)
        if has_ended:
            raise DidNotStart(child.name, last_words(child.log))
        time.sleep(_POLL_SECONDS)
    raise DidNotStart(child.name, f"it was silent for {START_SECONDS:g} s")
