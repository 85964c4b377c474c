"""`coordinator migrate`: bring the database to this version's schema without serving anything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from coordinator.cli.exits import errors_end_the_command
from coordinator.config.settings import load_settings


@click.command()
@click.option(
    "--settings", "path", type=click.Path(path_type=Path), default=Path("coordinator.toml"), show_default=True
)
def migrate(path: Path) -> None:
    """Migrate the database of a settings file; `coordinator run` does the same when it starts.

    The coordinator has to be stopped: a database is one process's own.
    """
    with errors_end_the_command():
        directory = Path(load_settings(path).data_dir)
        revision = asyncio.run(_migrate(directory))
    click.echo(f"the database in {directory} is at revision {revision}")


async def _migrate(directory: Path) -> str:
    # Imported here: commands of players and operators start without web framework and database.
    from sqlalchemy import text

    from coordinator.adapters.store.sqlite import SqliteStore
    from coordinator.app import DATABASE

    store = await SqliteStore.open(directory / DATABASE)
    try:
        async with store.read_connection() as connection:
            return str(await connection.scalar(text("SELECT version_num FROM alembic_version")))
    finally:
        await store.close()
