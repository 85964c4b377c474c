"""`coordinator doctor`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec
import structlog

from coordinator.cli.chosen import Chosen, choose
from coordinator.cli.doctor.report import Check, Verdict, report, show
from coordinator.cli.exits import EXIT_FAILED, errors_end_the_command
from coordinator.config.settings import PREFIX, Settings, load_settings
from coordinator_core.errors import CoreError, InvalidInput
from coordinator_core.secret import Secret


@click.command()
@click.option("--settings", "path", type=click.Path(path_type=Path), default=None, help="As for `run`.")
@click.option("--offline", is_flag=True, help="Ask no service.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def doctor(path: Path | None, *, offline: bool, as_json: bool) -> None:
    """Look at everything that a start relies on, without writing anything; also beside a running coordinator.

    Exits 0 when nothing failed, 1 when something did, 2 for settings to correct.
    """
    with errors_end_the_command():
        chosen = choose(path)
        settings = load_settings(chosen.path)
    with _quiet():
        found = report([*_here(settings, chosen), *(() if offline else asyncio.run(_outside(settings)))])
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        show(found)
    if not found.sound:
        raise click.exceptions.Exit(EXIT_FAILED)


@contextmanager
def _quiet() -> Generator[None]:
    """What the clients would log stands in the checks; stdout is the report's."""
    before = structlog.get_config()
    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=silent, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        yield
    finally:
        structlog.configure(**before)


def _here(settings: Settings, chosen: Chosen) -> Iterator[Check]:
    from coordinator import app
    from coordinator.cli.doctor import database, files

    data = Path(settings.data_dir)
    yield Check("settings", Verdict.OK, f"{chosen.path}, {settings.network}")
    yield from files.directory(data)
    for name in (app.SEED, app.OPERATOR_TOKEN, app.DATABASE):
        yield files.private(data / name, name, ours=True)
    yield files.private(Path(settings.lightning.macaroon_file), "macaroon", ours=False)
    if (secret := os.environ.get(f"{PREFIX}PASSPHRASE_FILE")) or chosen.passphrase_file is not None:
        yield files.private(Path(secret or str(chosen.passphrase_file)), "passphrase file", ours=True)
    yield files.sqlite()
    try:
        yield from database.database(data / app.DATABASE)
    except CoreError as error:
        yield Check("database", Verdict.FAILED, str(error), "restore a backup")
    yield from database.keys(data, app.DATABASE, app.SEED, _passphrase(chosen))


def _passphrase(chosen: Chosen) -> Secret | None:
    try:
        return chosen.passphrase()
    except InvalidInput:
        return None


async def _outside(settings: Settings) -> list[Check]:
    from coordinator import app
    from coordinator.cli.doctor.database import KNOWN, first_keys, published
    from coordinator.cli.doctor.reservations import promised
    from coordinator.cli.doctor.services import Services

    path = Path(settings.data_dir) / app.DATABASE
    if not path.is_file():
        return [check async for check in Services(settings, (), (), {}).checks()]
    try:
        services = Services(settings, published(path, live=True), promised(path), first_keys(path))
    except KNOWN as error:
        # What is wrong with the database stands in its own checks.
        unread = Check("services", Verdict.SKIPPED, f"what competitions count on cannot be read: {error}")
        return [unread, *[check async for check in Services(settings, (), (), {}).checks()]]
    return [check async for check in services.checks()]
