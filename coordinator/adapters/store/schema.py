"""The schema this release works with, and how a database gets there: alembic's scripts, one line of revisions."""

from __future__ import annotations

from functools import cache

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from coordinator import resources
from coordinator_core.errors import InvalidInput

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
    """Bring a database to the newest schema, in the connection's transaction. Raises InvalidInput for one of another
    release.

    One that is there already is not touched: alembic would compile every script before it looked.
    """
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision == newest_revision():
        return
    if revision is not None and revision not in known_revisions():
        reason = f"is at revision {revision}, which this release does not know"
        raise InvalidInput("database", reason, "run the release that made it, or restore a backup of before")
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
