"""The lives of the coordinator, one after another on the same data: how each is to end, and how it did."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import msgspec

from coordinator.engine.worker import LEASE_SECONDS
from tests.harness.boundaries import Arming
from tests.harness.coordinator_process import EXIT_SERVICE_AWAY, Order
from tests.harness.outside import Records
from tests.harness.progress import Progress

AGAIN: Final = (0.001, 0.02)
"""Range of the chance to die once more at a boundary that has its kill."""
BY_CLOCK: Final = (0.05, 2.5)
LONGEST_LIFE: Final = 5.0
"""Seconds after which a life that was to end at a boundary ends by the clock."""
EFFECTS: Final = 4
ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "2"}
"""As the systemd unit and the image have it."""
STOP_SECONDS: Final = 15.0
RESTART_SECONDS: Final = 0.1
CALM_SECONDS: Final = 0.05
PATIENCE: Final = 60
"""Starts in a row that may fail because a service is away: an outage of 30 s is many."""
REFUSALS: Final = 3
"""Starts in a row that a coordinator may refuse for any other reason."""
FROZEN_SECONDS: Final = LEASE_SECONDS + 3.0
AFTER_FREEZE: Final = 3.0


class Plan(StrEnum):
    """How a life is to end."""

    BOUNDARY = "at a boundary"
    CLOCK = "by the clock"
    EFFECT = "at an effect"
    TERMINATION = "by SIGTERM"
    EARLY_TERMINATION = "by SIGTERM while it starts"
    FREEZE = "after a freeze"
    """Stopped beyond every lease, woken, and killed a little later: whatever it completes then is late."""


SHARES: Final = {Plan.BOUNDARY: 60, Plan.CLOCK: 18, Plan.EFFECT: 16, Plan.TERMINATION: 5, Plan.FREEZE: 1}
TERMINATION_SHARES: Final = {Plan.TERMINATION: 85, Plan.EARLY_TERMINATION: 15}
TERMINATIONS: Final = tuple(TERMINATION_SHARES)


@dataclass(slots=True)
class Termination:
    """A SIGTERM and what came of it."""

    seconds: float
    code: int
    leases: int = 0
    """Duties that were still leased afterwards."""
    was_ready: bool = True
    """It served when it was told."""


@dataclass(slots=True)
class Counts:
    """How lives ended."""

    kills: int = 0
    by_plan: Counter[str] = field(default_factory=Counter[str])
    places: Counter[str] = field(default_factory=Counter[str])
    """Kills by "boundary: kind"."""
    not_started: int = 0
    """Lives that gave up on a service before they served."""
    terminations: list[Termination] = field(default_factory=list[Termination])
    freezes: int = 0
    unexpected: list[str] = field(default_factory=list[str])
    """Ends that nobody ordered."""


class Lives:
    """Runs the coordinator until `close`; `progress` says when no life is to be ended."""

    def __init__(
        self,
        settings: Path,
        records: Records,
        log: Path,
        seed: str,
        progress: Progress,
        shares: Mapping[Plan, int] = SHARES,
        *,
        full_caches: bool = False,
    ) -> None:
        """`shares`: how many lives of a hundred are to end in each way. `full_caches`: see caches.py."""
        self._full_caches = full_caches
        self._settings, self._records, self._log = settings, records, log
        self._seed, self._progress, self._shares = seed, progress, shares
        self._failed_starts: list[int] = []
        self.gone = ""
        """Why there are no more lives, in the coordinator's last words."""
        self._pid: int | None = None
        self._number = 0
        self._calm = settings.with_name("calm")
        self._effects_left = 0
        self._stopping = False
        self._terminated_at = 0.0
        self._begun = asyncio.Event()
        self.ready = asyncio.Event()
        self.counts = Counts()

    @property
    def pid(self) -> int | None:
        """Of the life that lives now."""
        return self._pid

    async def open(self) -> None:
        """Start the process that forks lives, and the first of them."""
        with self._log.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.harness.coordinator_process", "--settings", str(self._settings)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**os.environ, **ENVIRONMENT},
            )
        self._task = asyncio.create_task(self._run())
        self._telling = asyncio.create_task(self._tell_calm())

    async def _tell_calm(self) -> None:
        """A life that waits for its boundary learns by a file that it may not die now."""
        while True:
            if self._progress.calm():
                self._calm.touch()
            else:
                self._calm.unlink(missing_ok=True)
            await asyncio.sleep(CALM_SECONDS)

    @property
    def is_recorded(self) -> bool:
        """Whether lives write down what they did of their duties: where all end by SIGTERM, each may finish them."""
        return self._shares is TERMINATION_SHARES

    @property
    def recording(self) -> Path:
        """Where they write it."""
        return self._settings.with_name("duties.jsonl")

    async def close(self) -> None:
        """End the last life by SIGTERM."""
        self._stopping = True
        self._end(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._task, 4 * STOP_SECONDS)
        finally:
            if self._process.stdin is not None:
                self._process.stdin.close()
            await self._process.wait()

    async def abandon(self) -> None:
        """End everything, whatever it does."""
        self._telling.cancel()
        self._task.cancel()
        await asyncio.gather(self._telling, self._task, return_exceptions=True)
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    def effect(self, name: str) -> None:
        """The coordinator did something outside and has not heard of it yet."""
        if self._effects_left <= 0 or self._progress.calm():
            return
        self._effects_left -= 1
        if self._effects_left == 0:
            self.counts.places[f"unanswered: {name}"] += 1
            self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._pid is None:
            return
        if number == signal.SIGTERM:
            if self._terminated_at:
                # A second one would end it at once.
                return
            self._terminated_at = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    async def _run(self) -> None:
        while not self._stopping and not self.gone:
            self._number += 1
            await self._live(random.Random(f"{self._seed}/life/{self._number}"))
            await asyncio.sleep(RESTART_SECONDS)

    async def _live(self, rng: random.Random) -> None:
        plan = rng.choices(list(self._shares), list(self._shares.values()))[0]
        effects = rng.randint(1, EFFECTS)
        self._effects_left, self._terminated_at = effects if plan is Plan.EFFECT else 0, 0.0
        arming = None
        if plan is Plan.BOUNDARY:
            arming = Arming(
                f"{self._seed}/arming/{self._number}", dict(self.counts.places), rng.uniform(*AGAIN), str(self._calm)
            )
        clock = asyncio.create_task(self._by_clock(plan, rng.uniform(*BY_CLOCK)))
        recording = str(self.recording) if self.is_recorded else ""
        try:
            await self._order(Order(arming, recording, self._full_caches))
            await self._hear(plan)
        finally:
            clock.cancel()

    async def _by_clock(self, plan: Plan, seconds: float) -> None:
        await (self._begun if plan is Plan.EARLY_TERMINATION else self.ready).wait()
        await self._lived(seconds if plan in (Plan.CLOCK, Plan.FREEZE, *TERMINATIONS) else LONGEST_LIFE)
        if plan is Plan.FREEZE:
            self.counts.freezes += 1
            self._end(signal.SIGSTOP)
            await asyncio.sleep(FROZEN_SECONDS)
            self._end(signal.SIGCONT)
            await self._lived(AFTER_FREEZE)
        self._end(signal.SIGTERM if plan in TERMINATIONS else signal.SIGKILL)

    async def _lived(self, seconds: float) -> None:
        """Wait until the life has lasted so long, moments in which it may not be ended apart."""
        lived = 0.0
        while lived < seconds:
            await asyncio.sleep(CALM_SECONDS)
            lived += 0.0 if self._progress.calm() else CALM_SECONDS

    async def _order(self, order: Order) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise RuntimeError("the process of the lives has no stdin")
        stdin.write(msgspec.json.encode(order) + b"\n")
        await stdin.drain()

    async def _hear(self, plan: Plan) -> None:
        while True:
            words = await self._words()
            if "pid" in words:
                self._pid = words["pid"]
                self._begun.set()
                if self._stopping:
                    self._end(signal.SIGTERM)
            elif words.get("service") == "coordinator":
                self.ready.set()
                self._failed_starts.clear()
            elif "death" in words:
                death = words["death"]
                self.counts.places[f"{death['boundary']}: {death['kind']}"] += 1
            elif "ended" in words:
                self._ended(plan, words["ended"])
                return

    async def _words(self) -> dict[str, Any]:
        stdout = self._process.stdout
        line = b"" if stdout is None else await stdout.readline()
        if not line:
            raise RuntimeError("the process of the lives has ended")
        return msgspec.json.decode(line) if line.startswith(b"{") else {}

    def _ended(self, plan: Plan, status: int) -> None:
        was_ready = self.ready.is_set()
        self._pid = None
        self._begun.clear()
        self.ready.clear()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            self.counts.kills += 1
            self._progress.killed += 1
            self.counts.by_plan[plan] += 1
            return
        code = os.waitstatus_to_exitcode(status)
        if self._terminated_at:
            seconds = time.monotonic() - self._terminated_at
            leases = self._records.leases() if self._records.path.exists() else 0
            self.counts.terminations.append(Termination(seconds, code, leases, was_ready))
            self._progress.killed += self._shares is TERMINATION_SHARES
        elif not was_ready:
            self._not_started(code)
        else:
            self.counts.unexpected.append(f"life {self._number} ended with {code}")

    def _not_started(self, code: int) -> None:
        """A life ended before it served. Nobody waits for one that will never come."""
        self.counts.not_started += 1
        self._failed_starts.append(code)
        own = itertools.takewhile(lambda ended: ended != EXIT_SERVICE_AWAY, reversed(self._failed_starts))
        if len(list(own)) >= REFUSALS or len(self._failed_starts) >= PATIENCE:
            self.gone = f"{len(self._failed_starts)} starts in a row failed, the last with {code}: {self._last_words()}"
            self.counts.unexpected.append(self.gone)

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return next((line for line in reversed(lines) if line.startswith("coordinator: ")), "\n".join(lines[-10:]))
