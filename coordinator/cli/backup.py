"""`coordinator backup` and `coordinator restore`: the data directory copied while it is in use, and brought back."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from coordinator.cli.exits import errors_end_the_command
from coordinator.config.settings import load_settings
from coordinator_core.units import UnixTime

_SETTINGS = click.option(
    "--settings", "path", type=click.Path(path_type=Path), default=Path("coordinator.toml"), show_default=True
)


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@_SETTINGS
def backup(target: Path, path: Path) -> None:
    """Copy database and sealed seed to the new directory TARGET, while the coordinator runs or not.

    Every row of the copy is read before TARGET appears. The passphrase is not in it: keep that elsewhere.
    """
    with errors_end_the_command():
        from coordinator.adapters.store.backup import make_backup
        from coordinator.app import DATABASE, SEED

        data = Path(load_settings(path).data_dir)
        manifest = make_backup(data, target, (DATABASE, SEED), _now())
        click.echo(f"{target}: revision {manifest.revision}, {_date(manifest.made_at)}")


@click.command()
@click.argument("backup_directory", metavar="BACKUP", type=click.Path(path_type=Path))
@click.option("--verify", "only_verify", is_flag=True, help="Only check the backup; nothing is written anywhere.")
@_SETTINGS
def restore(backup_directory: Path, *, only_verify: bool, path: Path) -> None:
    """Bring the data directory of a settings file back from BACKUP; it must hold neither database nor seed.

    What happened after the backup is not in it. So every competition that has not ended comes back stopped, and new
    money frozen: what protects somebody goes on at the next start, the rest after `coordinator admin resume`.
    """
    with errors_end_the_command():
        from coordinator.adapters.store.backup import restore_backup, verify_backup

        if only_verify:
            manifest, found = verify_backup(backup_directory)
            rows = sum(found.rows.values())
            click.echo(f"{backup_directory}: sound, {rows} rows, {_date(manifest.made_at)}")
            return
        data = Path(load_settings(path).data_dir)
        manifest = restore_backup(backup_directory, data)
        stopped = asyncio.run(_stop(data, manifest.made_at))
        click.echo(
            f"{data} is as of {_date(manifest.made_at)}; {stopped} competitions are stopped, new money is frozen"
        )


async def _stop(data: Path, made_at: UnixTime) -> int:
    from coordinator.adapters.store.sqlite import SqliteStore
    from coordinator.app import DATABASE
    from coordinator.engine.operators.restoring import after_restore

    store = await SqliteStore.open(data / DATABASE)
    try:
        return await after_restore(store, made_at, _now())
    finally:
        await store.close()


def _now() -> UnixTime:
    return UnixTime(int(time.time()))


def _date(moment: UnixTime) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
