"""What `coordinator run` looks at before it starts: one sentence, and exit code 78, for what it does not start on.

Services that do not answer are no reason: what protects somebody must not wait for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

import structlog

from coordinator import app
from coordinator.adapters.store.inspection import Unreadable, schema_of, unreadable_rows
from coordinator.adapters.store.schema import newest_revision
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator.cli.doctor import clock
from coordinator.cli.doctor.database import keys
from coordinator.cli.doctor.report import Check, Verdict
from coordinator.config.settings import Settings
from coordinator.ports.faults import PortError
from coordinator_core.errors import CoreError, Fault
from coordinator_core.secret import Secret
from coordinator_core.units import UnixTime

EXIT_REFUSED: Final = 78
"""As sysexits' EX_CONFIG. A service manager may try on: a clock that is wrong after power loss is soon set."""
SHOWN: Final = 3
PATIENCE_SECONDS: Final = 5.0

log = structlog.get_logger()


class StartRefused(CoreError):
    """This machine, database or seed is not one to start on."""

    code = "start.refused"

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}: {fix}")
        self.fault = Fault.COORDINATOR


async def require_fit(settings: Settings, passphrase: Secret, *, stop_unreadable: bool = False) -> None:
    """Look at schema, rows, keys and clock. `stop_unreadable`: competitions with a row that cannot be read are stopped
    instead, and the others go on. Raises StartRefused, InvalidInput.
    """
    data = Path(settings.data_dir)
    path = data / app.DATABASE
    if path.is_file():
        await _require_schema(path)
        await _require_rows(path, stop=stop_unreadable)
        _require(await asyncio.to_thread(lambda: list(keys(data, app.DATABASE, app.SEED, passphrase))))
    _require(await _clock(settings))


async def _require_schema(path: Path) -> None:
    """A database of an earlier release is migrated here, so that its rows can be looked at."""
    revision, is_known = schema_of(path)
    if not is_known:
        raise StartRefused(
            f"the database is at revision {revision}, which this release does not know",
            "run the release that made it, or restore a backup of before",
        )
    if revision != newest_revision():
        await (await SqliteStore.open(path)).close()


async def _require_rows(path: Path, *, stop: bool) -> None:
    found = await asyncio.to_thread(lambda: list(unreadable_rows(path)))
    later = [row for row in found if row.is_later]
    if later:
        raise StartRefused(_named(later), "run the later release that wrote it")
    if not found:
        return
    if not stop:
        fix = "restore a backup, or stop its competition alone with `coordinator run --stop-unreadable`"
        raise StartRefused(_named(found), fix)
    store = await SqliteStore.open(path)
    try:
        async with store.write() as tx:
            for row in found:
                log.error("lane quarantined", lane=row.lane, error=f"{row.row}: {row.reason}")
                await tx.quarantine(row.lane, f"{row.row}: {row.reason}", UnixTime(int(time.time())))
    finally:
        await store.close()


def _named(found: Sequence[Unreadable]) -> str:
    rows = "; ".join(f"{row.row}: {row.reason}" for row in found[:SHOWN])
    return f"{len(found)} rows cannot be read: {rows}"


def _require(checks: Sequence[Check]) -> None:
    for check in checks:
        if check.verdict is Verdict.FAILED:
            raise StartRefused(f"{check.name}: {check.detail}", check.fix)


async def _clock(settings: Settings) -> list[Check]:
    found = [clock.judge(await clock.skews(settings))]
    if settings.domain_clock == "chain":
        return found
    try:
        async with asyncio.timeout(PATIENCE_SECONDS), AsyncExitStack() as stack:
            chain = app.chain_client(settings)
            stack.push_async_callback(chain.close)
            return [*found, await clock.behind_the_chain(chain, UnixTime(int(time.time())))]
    except (PortError, TimeoutError) as error:
        log.debug("no chain to compare the clock with", error=str(error))
        return found
