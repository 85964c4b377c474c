"""`./dev regtest --soak N`: competitions in a row on real daemons that are killed at random."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import sys
import tempfile
from pathlib import Path

import click

from tests.regtest.e2e.application import ensure_estimate
from tests.regtest.soak.killer import Killer
from tests.regtest.soak.plan import MOST_KILLS, Round, plan, told
from tests.regtest.soak.story import Result, Story
from tests.regtest.soak.world import soak_application
from tools.daemons.errors import DaemonsError
from tools.daemons.locate import Daemons, daemons
from tools.regtest import Rig

ROUNDS, PLAYERS = 20, 4
HEAD = "  #  result      seats  seconds  killed@phase"
ROW = "{number:>3}  {state:<10}  {seats:>5}  {seconds:>7.0f}  {kills}"
KEPT = "logs and data of all daemons are kept in"


@click.command()
@click.argument("rounds", type=click.IntRange(1), default=ROUNDS)
@click.option("--players", type=click.IntRange(3, 8), default=PLAYERS, show_default=True)
@click.option("--kills", type=click.IntRange(1), default=MOST_KILLS, show_default=True, help="Most in a competition.")
@click.option("--seed", type=int, default=None, help="Of an earlier run, to repeat its kills.")
def soak(rounds: int, players: int, kills: int, seed: int | None) -> None:
    """Play so many competitions in a row; exits with 1 if a satoshi is missing or one does not end."""
    chosen = secrets.randbelow(2**32) if seed is None else seed
    click.echo(f"soak: {rounds} competitions of {players} players, seed {chosen}")
    click.echo(HEAD)
    try:
        found = daemons()
    except DaemonsError as error:
        raise click.ClickException(str(error)) from None
    folder = Path(tempfile.mkdtemp(prefix="coordinator-soak-"))
    try:
        results = asyncio.run(_run(found, folder, plan(rounds, chosen, kills), players, chosen))
    except BaseException:
        click.echo(f"BROKEN OFF; {KEPT} {folder}")
        raise
    if len(results) == rounds and all(result.is_good for result in results):
        shutil.rmtree(folder, ignore_errors=True)
        click.echo(f"PASSED: {rounds} competitions ended, no satoshi is missing")
        return
    click.echo(f"FAILED in competition {len(results)} of {rounds}; {KEPT} {folder}")
    sys.exit(1)


async def _run(found: Daemons, folder: Path, rounds: tuple[Round, ...], players: int, seed: int) -> list[Result]:
    """Stops at the first competition that is not well: what comes after it would only tell of that one."""
    results: list[Result] = []
    rig = Rig(found, folder / "daemons")
    await asyncio.to_thread(rig.__enter__)
    try:
        async with soak_application(rig, folder / "application") as app:
            for planned in rounds:
                await ensure_estimate(app.services)
                result = await Story(app, Killer(app, seed + planned.number), players).play(planned)
                _print(planned, result)
                results.append(result)
                if not result.is_good:
                    break
    finally:
        await asyncio.to_thread(rig.close)
    return results


def _print(planned: Round, result: Result) -> None:
    shown = {"state": result.state, "seats": result.seats, "seconds": result.seconds}
    click.echo(ROW.format(number=planned.number, kills=told(planned.kills), **shown))
    if result.state != "completed" and result.reason:
        click.echo(f"     {result.competition}: {result.reason}")
    if result.loss:
        click.echo(f"     {result.competition}: {result.loss}")


if __name__ == "__main__":
    soak()
