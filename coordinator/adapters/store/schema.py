"""The schema this release works with, and how a database gets there: alembic's scripts, one line of revisions."""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from coordinator import resources

MIGRATIONS = resources.directory("migrations")


@cache
def newest_revision() -> str:
    """The schema that this release works with."""
    return str(_scripts().get_current_head())


@cache
def known_revisions() -> frozenset[str]:
    """Every schema from which this release can go on."""
    return frozenset(str(script.revision) for script in _scripts().walk_revisions())


def migrate(connection: Connection) -> None:
    """Bring a database to the newest schema, in the connection's transaction.

    One that is there already is not touched: alembic would compile every script before it looked.
    """
    if MigrationContext.configure(connection).get_current_revision() == newest_revision():
        return
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
