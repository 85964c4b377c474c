"""What needs attention and the audit log, as a person reads them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import click

from coordinator.cli.competition.tables import when
from coordinator.cli.text import one_line


def show_attention(found: Sequence[Mapping[str, Any]]) -> None:
    """One block each: what, where, since when, why, and what can be done."""
    if not found:
        click.echo("nothing needs a person")
    for item in found:
        place = item["competition"] or "coordinator"
        age = timedelta(seconds=int(item["age"]))
        click.echo(one_line(f"{item['kind']}: {place}, {item['subject']}, for {age}"))
        click.echo(f"  {one_line(item['reason'])}")
        click.echo(f"  {one_line(item['fix'])}")


def show_audit(lines: Sequence[Mapping[str, Any]]) -> None:
    """One line each."""
    if not lines:
        click.echo("no operator did anything yet")
    now = int(time.time())
    for line in lines:
        about = "".join(f" {line[name]}" for name in ("competition", "subject") if line[name])
        click.echo(
            one_line(f"{line['seq']} {when(line['at'], now)} {line['who']} {line['act']}{about}: {line['reason']}")
        )
