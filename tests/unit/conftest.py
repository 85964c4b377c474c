"""What unit tests share: they start no process, and need not migrate a database each."""

import asyncio
import shutil
from pathlib import Path

import pytest

from tests.support.plain_logs import plain_logs
from tests.support.processes import pytest_runtest_setup, pytest_runtest_teardown, started_processes

__all__ = ["new_database", "plain_logs", "pytest_runtest_setup", "pytest_runtest_teardown", "started_processes"]


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed database at the newest schema, to be copied."""
    # Here, so that tests without a store do not load SQLAlchemy.
    from coordinator.adapters.store.sqlite import SqliteStore

    path = tmp_path_factory.mktemp("schema") / "migrated.db"

    async def make() -> None:
        await (await SqliteStore.open(path)).close()

    asyncio.run(make())
    return path


@pytest.fixture
def new_database(migrated: Path, tmp_path: Path) -> Path:
    """The file of an empty database at the newest schema."""
    return Path(shutil.copy(migrated, tmp_path / "coordinator.db"))
