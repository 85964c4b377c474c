"""What a check found."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import click
from msgspec import Struct

from coordinator.cli.text import one_line


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """It works; somebody should look at it."""
    FAILED = "failed"
    """Do not start on it."""
    SKIPPED = "skipped"
    """It could not be looked at."""


class Check(Struct, frozen=True):
    """One check. Sentences hold no secrets."""

    name: str
    verdict: Verdict
    detail: str
    fix: str = ""


class Report(Struct, frozen=True):
    """All checks."""

    sound: bool
    checks: tuple[Check, ...]


def report(checks: Sequence[Check]) -> Report:
    """Sound when nothing failed."""
    return Report(all(check.verdict is not Verdict.FAILED for check in checks), tuple(checks))


def show(found: Report) -> None:
    """One line a check, and what to do about it."""
    for check in found.checks:
        click.echo(f"{check.verdict.value:8} {one_line(f'{check.name}: {check.detail}')}")
        if check.fix:
            click.echo(f"{'':8} {one_line(check.fix)}")
