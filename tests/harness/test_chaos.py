"""A short run of kills and faults, with a fresh seed each time: what it prints says how to run it again."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from tests.harness.chaos import Options, run

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.xdist_group("chaos")]

KILLS = 10
COMPETITIONS = 2


async def test_killed_and_faulty_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    options = Options(secrets.token_hex(4), kills=KILLS, faults=15.0, competitions=COMPETITIONS)
    print(options.command)
    report = await run(options, tmp_path)
    assert not report.failed, report.text()
    assert int(str(report.figures["kills"]).partition(" ")[0]) >= KILLS, report.text()


TERMS = 3


async def test_told_to_stop_under_load_nothing_is_cut_off(tmp_path: Path) -> None:
    options = Options(secrets.token_hex(4), faults=0.0, competitions=1, terms=TERMS)
    print(options.command)
    report = await run(options, tmp_path)
    assert not report.failed, report.text()
    assert int(str(report.figures["SIGTERM"]).partition(" ")[0]) >= TERMS, report.text()
