"""`coordinator migrate-states`: rows of earlier versions, checked or written again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from coordinator.cli.exits import EXIT_FAILED, errors_end_the_command
from coordinator.config.settings import load_settings

SHOWN = 100


@click.command("migrate-states")
@click.option("--verify", "only_verify", is_flag=True, help="Only read; works while the coordinator runs.")
@click.option(
    "--settings", "path", type=click.Path(path_type=Path), default=Path("coordinator.toml"), show_default=True
)
def migrate_states(path: Path, *, only_verify: bool) -> None:
    """Write rows of earlier versions as this release writes them; the coordinator has to be stopped.

    Rows are states, facts and duties. Without it each is written again when it next changes. Before and after, every
    row is read, and compared with what this release would write: a difference ends with exit code 1.
    """
    with errors_end_the_command():
        from coordinator.app import DATABASE

        database = Path(load_settings(path).data_dir) / DATABASE
        earlier = _verify(database)
        if only_verify:
            return
        if earlier:
            click.echo(f"{asyncio.run(_rewrite(database))} rows written again")
            _verify(database)


def _verify(database: Path) -> int:
    from coordinator.adapters.store.inspection import inspect_database

    found = inspect_database(database)
    for finding in found.findings[:SHOWN]:
        click.echo(f"{finding.where}: {finding.reason}", err=True)
    counted = ", ".join(f"{number} {kind} rows" for kind, number in found.rows.items())
    click.echo(f"{counted or 'no rows read'}; {found.earlier} of earlier versions, {len(found.findings)} differences")
    if found.findings:
        raise click.exceptions.Exit(EXIT_FAILED)
    return found.earlier


async def _rewrite(database: Path) -> int:
    from coordinator.adapters.store.rewriting import rewrite
    from coordinator.adapters.store.sqlite import SqliteStore

    store = await SqliteStore.open(database)
    try:
        return await rewrite(store)
    finally:
        await store.close()
