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


def show_money(found: Mapping[str, Any]) -> None:
    """How far it is compared and where the money stands, then one line for each thing that nothing explains."""
    made = found["reconciliation"]
    numbers = (
        f"{made['looked_at']} compared, {made['differences']} differences, {made['contradictions']} contradictions"
    )
    waits = f", waits for {made['waits_for']}" if made["waits_for"] else ""
    click.echo(one_line(f"{'compared' if made['complete'] else 'being compared'}: {numbers}{waits}"))
    now = int(time.time())
    for bucket, known in found["amounts"].items():
        click.echo(one_line(f"{bucket}: {known['sats']} sat, {when(known['at'], now)}"))
    for fault in found["faults"]:
        click.echo(one_line(f"does not add up: {fault['competition'] or 'coordinator'}, {fault['what']}"))
    for line in found["payments"]:
        held = (
            "explained" if line["explained"] else f"may have paid {line['holds']}" if line["holds"] else "unexplained"
        )
        what = f"payment {line['payment_hash']}, {line['value']} msat, {when(line['created_at'], now)}"
        click.echo(one_line(f"{what}: {line['state']}, {held}"))
    for line in found["invoices"]:
        what = f"invoice {line['payment_hash']}, {line['value']} sat, {when(line['created_at'], now)}"
        click.echo(one_line(f"{what}: {line['state']}, no ticket explains it"))
