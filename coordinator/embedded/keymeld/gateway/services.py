"""What the keygen and signing services share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from coordinator.embedded.keymeld.gateway.authentication import HeaderAuthenticator
from coordinator.embedded.keymeld.gateway.database import Database
from coordinator.embedded.keymeld.gateway.faults import Faults
from coordinator.embedded.keymeld.gateway.fleet import Fleet
from coordinator.embedded.keymeld.gateway.jobs import Jobs
from coordinator.embedded.keymeld.gateway.keygens import KeygenStore
from coordinator.embedded.keymeld.gateway.replay import ReplayTable
from coordinator.embedded.keymeld.gateway.signings import SigningStore


@dataclass(frozen=True)
class Services:
    """Stores, enclaves, clock (UNIX seconds), jobs and faults of one gateway."""

    database: Database
    keygens: KeygenStore
    signings: SigningStore
    headers: HeaderAuthenticator
    fleet: Fleet
    faults: Faults
    jobs: Jobs
    clock: Callable[[], int]

    @classmethod
    def open(cls, directory: Path, enclaves: int, clock: Callable[[], int]) -> Services:
        """Open or create the state in a directory."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = Database(directory / "gateway.sqlite")
        return cls(
            database=database,
            keygens=KeygenStore(database),
            signings=SigningStore(database),
            headers=HeaderAuthenticator(ReplayTable(database)),
            fleet=Fleet(directory / "enclaves", enclaves, database, clock),
            faults=Faults(),
            jobs=Jobs(),
            clock=clock,
        )

    def close(self) -> None:
        """Wait for running jobs and close the database."""
        self.jobs.close()
        self.database.close()
