"""The command: starts everything, walks one competition, shows the books, keeps serving."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import cast

import click
from rich.console import Console

from coordinator.cli.demo.books import balance_rows
from coordinator.cli.demo.plan import DemoPlan, Scenario
from coordinator.cli.demo.report import Report
from coordinator.cli.demo.scenarios import play
from coordinator.cli.demo.story import Story
from coordinator.cli.demo.world import World
from coordinator.cli.embedded import Stack
from coordinator.cli.stack_settings import ChainSource
from coordinator_core.errors import CoreError


@click.command()
@click.option("--players", type=click.IntRange(2, 25), default=5, show_default=True)
@click.option("--places", type=click.IntRange(1, 5), default=2, show_default=True)
@click.option(
    "--scenario",
    type=click.Choice(["happy", "refund", "expiry", "underfilled", "onchain"]),
    default="happy",
    show_default=True,
)
@click.option(
    "--chain",
    "source",
    type=click.Choice(["core", "esplora"]),
    default="core",
    show_default=True,
    help="Where the coordinator learns of the chain: the node's RPC, or its Esplora server.",
)
@click.option(
    "--once", is_flag=True, help="Exit when the competition is over: 0 only if all are paid and the books balance."
)
@click.option("--json", "as_json", is_flag=True, help="Print one final JSON line and nothing else.")
@click.option(
    "--data-dir", type=click.Path(path_type=Path), default=None, help="Keep everything here; default: temporary."
)
def demo(
    players: int, places: int, scenario: str, source: str, data_dir: Path | None, *, once: bool, as_json: bool
) -> None:
    """Watch one competition from its creation to the last payment."""
    if places >= players:
        raise click.BadParameter("fewer places than players are needed", param_hint="--places")
    plan = DemoPlan(scenario=cast(Scenario, scenario), players=players, places=places, source=cast(ChainSource, source))
    report = Report(Console(stderr=False), quiet=as_json)
    with tempfile.TemporaryDirectory(prefix="coordinator-demo-") as temporary:
        directory = data_dir or Path(temporary)
        try:
            code = asyncio.run(_run(plan, report, directory, once=once, as_json=as_json))
        except CoreError as error:
            click.echo(f"demo: {error}", err=True)
            click.echo(
                f"demo: logs are in {directory / 'logs'}" if data_dir else "demo: --data-dir keeps the logs", err=True
            )
            code = 1
        except KeyboardInterrupt:
            code = 0
    sys.exit(code)


async def _run(plan: DemoPlan, report: Report, directory: Path, *, once: bool, as_json: bool) -> int:
    began = time.monotonic()
    with Stack(directory, source=plan.source) as stack:
        report.say("starting node, Lightning, keymeld, oracle and coordinator on loopback")
        await asyncio.to_thread(stack.start_services)
        await asyncio.to_thread(stack.start_coordinator)
        world = World(stack)
        story = Story(plan, world, report)
        try:
            await story.fund_operator()
            await story.create()
            await story.invite()
            before = await balance_rows(story)
            paid = await play(story)
            after = await balance_rows(story)
            difference = _show(story, before, after)
        finally:
            await story.close()
            await world.close()
        seconds = round(time.monotonic() - began, 1)
        balanced = difference == 0
        report.say(f"{'the books balance' if balanced else 'THE BOOKS DO NOT BALANCE'}; {seconds} s")
        if as_json:
            line = {
                "competition": story.competition,
                "scenario": plan.scenario,
                "players": story.results,
                "everyone_paid": paid,
                "books_balance": balanced,
                "seconds": seconds,
            }
            click.echo(json.dumps(line))
        if not once:
            report.say(f"pages are served at {stack.url('coordinator')} until Ctrl-C")
            await asyncio.Event().wait()
        return 0 if paid and balanced else 1


def _show(story: Story, before: dict[str, int], after: dict[str, int]) -> int:
    story.report.payouts(story.results)
    rows = [(account, after[account] - before.get(account, 0)) for account in after]
    return story.report.sheet(rows, title="what everyone has now, less what they had before")
