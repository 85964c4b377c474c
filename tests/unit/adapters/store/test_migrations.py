"""The migrations make the tables that the code works with, and nothing else."""

import asyncio
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, create_engine, inspect, text

from coordinator.adapters.store.schema import MIGRATIONS
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.adapters.store.tables import metadata
from coordinator_core.errors import InvalidInput


@contextmanager
def connected(path: Path) -> Iterator[Connection]:
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


@pytest.fixture
def migrated(tmp_path: Path) -> Path:
    """A database that the store opened once, from nothing."""
    path = tmp_path / "coordinator.db"

    async def once() -> None:
        store = await SqliteStore.open(path)
        await store.close()

    asyncio.run(once())
    return path


def statements(connection: Connection) -> dict[str, str]:
    """Every CREATE statement by name, the clauses of a table in one order."""
    rows = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != :own"), {"own": "alembic_version"}
    )
    return {name: _normal(sql) for name, sql in rows if not name.startswith("sqlite_")}


def _normal(statement: str) -> str:
    head, _, body = re.sub(r"\s+", " ", statement).partition("(")
    return f"{head.strip()} ({', '.join(sorted(part.strip(' )') for part in body.split(', ')))}"


def test_from_nothing_to_the_tables_of_the_code(migrated: Path) -> None:
    with connected(migrated) as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_checks_and_partial_indexes_are_the_same_too(migrated: Path, tmp_path: Path) -> None:
    # Alembic's comparison sees neither CHECK nor the condition of an index nor AUTOINCREMENT.
    with connected(tmp_path / "code.db") as connection:
        metadata.create_all(connection)
        wanted = statements(connection)
    with connected(migrated) as connection:
        assert statements(connection) == wanted
    assert any("CHECK" in statement for statement in wanted.values())
    assert any("WHERE" in statement for statement in wanted.values())


def test_opening_again_changes_nothing(migrated: Path) -> None:
    with connected(migrated) as connection:
        before = statements(connection)
        connection.execute(text("INSERT INTO blob (name, bytes) VALUES ('kept', x'00')"))

    async def again() -> bytes | None:
        store = await SqliteStore.open(migrated)
        try:
            return await store.blob("kept")
        finally:
            await store.close()

    assert asyncio.run(again()) == b"\x00"
    with connected(migrated) as connection:
        assert statements(connection) == before


def test_there_is_one_line_of_revisions(migrated: Path) -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    (head,) = script.get_heads()
    with connected(migrated) as connection:
        assert MigrationContext.configure(connection).get_current_revision() == head


def test_there_is_no_way_back_and_the_database_stays(migrated: Path) -> None:
    with pytest.raises(CommandError, match="copy of the database"), connected(migrated) as connection:
        command.downgrade(alembic(connection), "base")
    with connected(migrated) as connection:
        assert "lane" in inspect(connection).get_table_names()


def test_a_migration_does_not_read_the_tables_of_the_code() -> None:
    # What a released migration makes must not change with the code.
    for script in sorted(MIGRATIONS.rglob("*.py")):
        assert "coordinator" not in re.findall(r"^(?:from|import) (\w+)", script.read_text(), re.MULTILINE), script


def test_the_comparison_sees_a_column_that_no_migration_makes(migrated: Path) -> None:
    other = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(other)
    other.remove(other.tables["blob"])
    with connected(migrated) as connection:
        assert [found[0] for found in compare_metadata(MigrationContext.configure(connection), other)] == [
            "remove_table"
        ]


def test_a_database_of_another_release_is_refused_and_left_free(migrated: Path) -> None:
    """Whoever mends it needs no new process: a start that failed holds nothing."""

    async def open_and_close() -> None:
        await (await SqliteStore.open(migrated)).close()

    with closing(sqlite3.connect(migrated)) as other:
        [(ours,)] = other.execute("SELECT version_num FROM alembic_version")
        other.execute("UPDATE alembic_version SET version_num = '9999'")
        other.commit()
        with pytest.raises(InvalidInput, match="revision 9999, which this release does not know") as refused:
            asyncio.run(open_and_close())
        other.execute("UPDATE alembic_version SET version_num = ?", (ours,))
        other.commit()
    assert "restore a backup" in refused.value.fix
    asyncio.run(open_and_close())
