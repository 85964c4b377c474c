"""After a restore: what happened since the backup is not in the database, so nothing expansive may follow from it."""

from __future__ import annotations

from coordinator.engine.operators.acting import Verb
from coordinator.ports.operating import Act
from coordinator.ports.store import Store
from coordinator_core.units import UnixTime

WHO = "restore"


async def after_restore(store: Store, made_at: UnixTime, now: UnixTime) -> int:
    """Stop every competition that goes on, and freeze new money; how many were stopped.

    What protects somebody runs as soon as the coordinator does, and asks outside before it acts. An operator lets each
    one go on after a look at chain and Lightning.
    """
    reason = f"restored from a backup of {made_at}: compare it with chain and Lightning"
    unfinished = await store.unfinished()
    async with store.write() as tx:
        for lane in unfinished:
            await tx.quarantine(lane, reason, now)
        frozen = Act(dkey=f"restore/{now}", who=WHO, act=Verb.FREEZE.value, reason=reason)
        await tx.record_act(frozen, b'{"frozen":true}', now)
    return len(unfinished)
