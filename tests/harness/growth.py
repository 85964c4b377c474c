"""What a process takes, sampled over time, and whether that grows."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

WARM_UP_SECONDS: Final = 600.0
"""Allocators take what they will need; of a longer run the first half is warm-up as well. Caches of cryptography are
full from the start (caches.py).
"""
LEAST_MEASURED_SECONDS: Final = 1_200.0
"""After the warm-up; over less, the noise of an allocator is no slope."""
BYTES_AN_HOUR: Final = 4_000_000
MORE_FILES: Final = 4
"""Connections come and go by dozens: what counts is how few there are at the quietest moment."""
MOST_THREADS: Final = 40
"""Pools fill slowly up to their bounds, so a slope says nothing of them."""
LARGEST_JOURNAL: Final = 64_000_000


class Sample(NamedTuple):
    """One look at a process and its database."""

    at: float
    """Seconds of a monotonic clock."""
    resident_bytes: int
    files: int
    threads: int
    journal_bytes: int
    database_bytes: int

    @classmethod
    def of(cls, pid: int, database: Path, now: float) -> Sample:
        """Read from /proc. Raises OSError when the process is gone."""
        place = Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines() if ":" in line)
        journal = database.with_name(f"{database.name}-wal")
        return cls(
            at=now,
            resident_bytes=1024 * int(status["VmRSS"].split()[0]),
            files=len(os.listdir(place / "fd")),
            threads=int(status["Threads"]),
            journal_bytes=_size(journal),
            database_bytes=_size(database),
        )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@dataclass(slots=True)
class Growth:
    """Samples of one process, oldest first."""

    samples: list[Sample] = field(default_factory=list[Sample])

    def add(self, sample: Sample) -> None:
        """One more."""
        self.samples.append(sample)

    @property
    def line(self) -> str:
        """The last sample, for people."""
        last = self.samples[-1]
        return (
            f"{last.at - self.samples[0].at:5.0f} s: {last.resident_bytes / 1e6:.1f} MB resident, {last.files} files,"
            f" {last.threads} threads, journal {last.journal_bytes / 1e6:.1f} MB,"
            f" database {last.database_bytes / 1e6:.1f} MB"
        )

    @property
    def warm(self) -> Sequence[Sample]:
        """Samples after the warm-up."""
        if not self.samples:
            return []
        first, last = self.samples[0].at, self.samples[-1].at
        since = first + max(WARM_UP_SECONDS, (last - first) / 2)
        return [sample for sample in self.samples if sample.at >= since]

    @property
    def is_measured(self) -> bool:
        """Whether it took long enough to speak of growth."""
        warm = self.warm
        return len(warm) > 1 and warm[-1].at - warm[0].at >= LEAST_MEASURED_SECONDS

    def an_hour(self, of: Callable[[Sample], float]) -> float:
        """The slope of the line through the samples after the warm-up (least squares), an hour; 0 without two."""
        points = [(sample.at / 3_600, of(sample)) for sample in self.warm]
        if len(points) < 2:
            return 0.0
        mean_x = sum(x for x, _ in points) / len(points)
        mean_y = sum(y for _, y in points) / len(points)
        spread = sum((x - mean_x) ** 2 for x, _ in points)
        return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread

    @property
    def wrong(self) -> list[str]:
        """What grew beyond its bound. Journal and threads are bounded at any length of a run."""
        journal = max((sample.journal_bytes for sample in self.samples), default=0)
        threads = max((sample.threads for sample in self.samples), default=0)
        found = [f"the journal was {journal} bytes"] if journal > LARGEST_JOURNAL else []
        found += [f"there were {threads} threads"] if threads > MOST_THREADS else []
        if not self.is_measured:
            return found
        grown = {
            f"memory grows by more than {BYTES_AN_HOUR} bytes an hour": self.memory_an_hour - BYTES_AN_HOUR,
            "open files grow": self._more_files - MORE_FILES,
        }
        return found + [f"{what} (beyond it: {over:.1f})" for what, over in grown.items() if over > 0]

    @property
    def _more_files(self) -> int:
        """How many more files were open at the quietest moment of the second half than of the first, both warm."""
        middle = len(self.warm) // 2
        earlier, later = ([sample.files for sample in half] for half in (self.warm[:middle], self.warm[middle:]))
        return min(later) - min(earlier)

    @property
    def memory_an_hour(self) -> float:
        """Growth of resident memory in bytes an hour."""
        return self.an_hour(lambda sample: sample.resident_bytes)

    @property
    def table(self) -> list[str]:
        """For people."""
        if not self.samples:
            return ["nothing was sampled"]
        slope = f"{self.memory_an_hour / 1e6:+.2f} MB an hour" if self.is_measured else "too short to speak of growth"
        verdict = [f"WRONG {text}" for text in self.wrong] or ["ok    nothing grows beyond its bound"]
        return [self.line, f"memory: {slope}", *verdict]
