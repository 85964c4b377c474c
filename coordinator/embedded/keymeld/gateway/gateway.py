"""The gateway as one object: its services, start, restart of an enclave, end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from coordinator.embedded.keymeld.gateway.keygen_status import KeygenStatusService
from coordinator.embedded.keymeld.gateway.records import KeygenState
from coordinator.embedded.keymeld.gateway.registrations import RegistrationService
from coordinator.embedded.keymeld.gateway.reservation import ReservationService
from coordinator.embedded.keymeld.gateway.services import Services
from coordinator.embedded.keymeld.gateway.signing import SigningService
from coordinator.embedded.keymeld.gateway.signing_run import SigningRun


def wall_clock() -> int:
    """UNIX seconds."""
    return int(time.time())


class Gateway:
    """Thread-safe; every method blocks, so call it from worker threads."""

    def __init__(self, directory: Path, enclaves: int = 2, clock: Callable[[], int] = wall_clock) -> None:
        self.services = Services.open(directory, enclaves, clock)
        self.started_at = clock()
        self._run = SigningRun(self.services)
        self.reservations = ReservationService(self.services)
        self.registrations = RegistrationService(self.services)
        self.keygens = KeygenStatusService(self.services)
        self.signings = SigningService(self.services, self._run)
        self.services.keygens.drop_old(clock())
        self.registrations.resume()
        self.signings.resume()

    def restart_enclave(self, enclave_id: int) -> int:
        """A new key and epoch; what depended on the old one fails. Returns the new epoch.

        Raises EnclaveUnavailable for an unknown enclave.
        """
        services = self.services
        enclave = services.fleet.get(enclave_id)
        enclave.restart_with_new_epoch()
        services.fleet.record_epoch(enclave_id)
        everything = services.keygens.in_state(*KeygenState)
        for keygen_id in everything:
            if enclave_id not in services.keygens.get(keygen_id).enclaves:
                continue
            services.keygens.fail(keygen_id)
            services.fleet.drop(keygen_id)
            for signing_id in services.signings.unfinished_of(keygen_id):
                self._run.fail(signing_id, f"enclave {enclave_id} restarted with a new epoch")
        return enclave.identity.epoch

    def close(self) -> None:
        """Wait for running jobs, close the database."""
        self.services.close()
