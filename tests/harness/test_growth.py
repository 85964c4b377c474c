"""Growth is told from noise, and from what happens once."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from tests.harness.growth import LARGEST_JOURNAL, MOST_THREADS, Growth, Sample

HOUR = 3_600


def grown(megabytes_an_hour: float, hours: float, *, files: float = 0.0) -> Growth:
    """A sample every ten seconds: 100 MB at first, noise of half a megabyte, 50 MB more in the warm-up."""
    noise, growth = random.Random(1), Growth()
    for step in range(int(hours * HOUR / 10)):
        at = step * 10.0
        warm = 50e6 * min(1.0, at / 600)
        resident = 100e6 + warm + megabytes_an_hour * 1e6 * at / HOUR + noise.uniform(-5e5, 5e5)
        growth.add(Sample(at, int(resident), int(40 + files * at / HOUR), 9, 1_000_000, 0))
    return growth


@pytest.mark.parametrize("hours", [0.75, 2.0])
def test_what_is_taken_in_the_warm_up_is_no_growth(hours: float) -> None:
    growth = grown(0.0, hours)
    assert growth.is_measured
    assert not growth.wrong
    assert abs(growth.memory_an_hour) < 1e6


@pytest.mark.parametrize(("megabytes", "wrong"), [(3.0, False), (5.0, True)])
def test_memory_may_grow_by_four_megabytes_an_hour(megabytes: float, wrong: bool) -> None:
    growth = grown(megabytes, 2.0)
    assert growth.memory_an_hour == pytest.approx(megabytes * 1e6, abs=3e5)
    assert any("memory" in text for text in growth.wrong) is wrong


def test_what_fills_up_in_the_first_half_of_a_long_run_is_no_growth() -> None:
    growth = grown(0.0, 2.0)
    filling = Growth([s._replace(resident_bytes=s.resident_bytes + int(5e3 * min(s.at, HOUR))) for s in growth.samples])
    assert not filling.wrong
    assert abs(filling.memory_an_hour) < 1e6


def test_open_files_may_not_grow() -> None:
    assert any("files" in text for text in grown(0.0, 2.0, files=20).wrong)


def test_connections_that_come_and_go_are_no_growth() -> None:
    growth = grown(0.0, 2.0)
    busy = Growth([s._replace(files=s.files + (0 if number % 9 else 120)) for number, s in enumerate(growth.samples)])
    assert not busy.wrong


def test_a_short_run_speaks_of_no_growth_but_of_bounds() -> None:
    growth = grown(500.0, 0.4)
    assert not growth.is_measured
    assert not growth.wrong
    growth.add(growth.samples[-1]._replace(journal_bytes=LARGEST_JOURNAL + 1, threads=MOST_THREADS + 1))
    assert any("journal" in text for text in growth.wrong)
    assert any("threads" in text for text in growth.wrong)


def test_a_process_is_read(tmp_path: Path) -> None:
    database = tmp_path / "coordinator.db"
    database.write_bytes(bytes(5_000))
    sample = Sample.of(os.getpid(), database, 7.0)
    assert sample.at == 7.0
    assert sample.resident_bytes > 1_000_000
    assert sample.files >= 3
    assert sample.threads >= 1
    assert (sample.database_bytes, sample.journal_bytes) == (5_000, 0)
