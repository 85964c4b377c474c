"""Create a competition: the draft is stored, a duty fixes and publishes the terms."""

from __future__ import annotations

import msgspec

from coordinator.domain.competitions.states import Created
from coordinator.domain.facts import Drafted
from coordinator.engine import codec
from coordinator.engine.apply import apply_lane
from coordinator.engine.clockwork import Clockwork
from coordinator.engine.observer import UNOBSERVED, EngineObserver
from coordinator.engine.submit import COMMAND_PRIORITY
from coordinator.engine.wakeups import Wakeups
from coordinator.ports.store import Store
from coordinator_core.competition.draft import Draft
from coordinator_core.competition.draft_rules import require_playable
from coordinator_core.competition.ids import uuid7
from coordinator_core.competition.observation import ATTEMPTS
from coordinator_core.competition.terms import Network
from coordinator_core.errors import Fault, Misuse, Refused
from coordinator_core.units import UnixTime


async def create_competition(
    store: Store, clock: Clockwork, wakeups: Wakeups, draft: Draft, dkey: str, observer: EngineObserver = UNOBSERVED
) -> str:
    """A new competition with this draft; its id. The same dkey again gives the same one.

    Raises InvalidInput or Refused for a draft of which no terms could be made (see require_playable): a duty that
    cannot succeed would be tried until the closing time. Raises Refused for enclave measurements: nothing verifies them
    yet, so nothing may promise it. Mainnet terms need them, so mainnet is refused as well.
    """
    if draft.keymeld_pcrs or draft.network is Network.MAINNET:
        raise Refused(
            "draft.keymeld_pcrs",
            "attestation of enclaves is not verified by this version",
            "a test network, without measurements",
            fault=Fault.COORDINATOR,
        )
    async with store.write() as tx:
        known = await tx.answered("create", dkey)
        if known is not None:
            return msgspec.json.decode(known, type=str)
        require_playable(draft, (await clock.tip()).height, await clock.domain(), clock.cancel_delta)
        now = clock.wall()
        lane = str(uuid7(now))
        await tx.create_lane(lane, codec.encode_state(Created()), "created", now)
        drafted = Drafted(
            draft=msgspec.json.encode(draft).decode(),
            event_ids=tuple(str(uuid7(now)) for _ in range(ATTEMPTS + 1)),
            closes_at=UnixTime(int(draft.entries_close.timestamp())),
        )
        await tx.put_facts(lane, [drafted], "operator", now)
        seq = await tx.notify(lane, COMMAND_PRIORITY, "create", dkey, "create", now)
        record = await tx.load(lane)
        if record is None or seq is None:
            raise Misuse("a competition that was just made cannot be read")
        done = await apply_lane(tx, record, clock)
        await tx.answer(seq, msgspec.json.encode(lane), now)
    observer.applied(lane, ["created", *done.reached])
    wakeups.duties.set()
    return lane
