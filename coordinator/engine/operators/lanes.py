"""One competition: retry what fails, resume it after it was stopped, compare it with the outside again, cancel it."""

from __future__ import annotations

from collections.abc import Sequence

from coordinator.domain.competitions.cancelling import Judgement, judge
from coordinator.domain.facts import CancelAsked
from coordinator.domain.versions import UnreadableRow
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.operators.acting import OPERATOR, By, House, Verb, act, applied, known_lane
from coordinator.engine.submit import Conflict
from coordinator.ports.store import Transaction
from coordinator_core.errors import Fault


async def retry(house: House, by: By, lane: str, duty: str = "") -> bytes:
    """What waits for its next try is tried now: one duty, or everything open of a competition. {"due": number}."""

    async def effect(tx: Transaction) -> object:
        await known_lane(tx, lane)
        return {"due": await tx.hurry(float(house.clock.wall()), lane=lane, duty=duty or None)}

    return await act(house, by, Verb.RETRY, effect, lane=lane, subject=duty)


async def reconcile(house: House, by: By, lane: str) -> bytes:
    """Compare with the outside: the chain's past is searched again for everything watched, every open duty asks first
    what already happened, and the competition looks at itself. {"due": number, "watches": number}.
    """

    async def effect(tx: Transaction) -> object:
        await known_lane(tx, lane)
        watches = await tx.search_again(lane)
        return {"due": await tx.hurry(float(house.clock.wall()), lane=lane), "watches": watches}

    answer = await act(house, by, Verb.RECONCILE, effect, lane=lane)
    house.wakeups.probe.set()
    return answer


async def resume(house: House, by: By, lane: str) -> bytes:
    """A stopped competition goes on, if it does not contradict itself any more. {"resumed": true}.

    Raises Conflict for one that is not stopped, or cannot go on.
    """
    reached: list[str] = []

    async def effect(tx: Transaction) -> object:
        try:
            record = await known_lane(tx, lane)
        except UnreadableRow as error:
            raise _unreadable(error) from error
        if record.quarantined is None:
            raise Conflict("competition", "is not stopped", "nothing to resume", fault=Fault.COORDINATOR)
        reached.extend(await _go_on(house, tx, lane))
        return {"resumed": True}

    answer = await act(house, by, Verb.RESUME, effect, lane=lane)
    house.observer.applied(lane, reached)
    return answer


async def cancel(house: House, by: By, lane: str) -> bytes:
    """End a competition before its funding; everything is given back, and players read the reason.

    While entries are open one operator is enough; after that two owners have to agree (money section 5). A stopped
    competition goes on into its end. {"cancelled": bool, "awaits_second_owner": bool}. Raises Conflict where it is too
    late, or one has not the right to.
    """
    reached: list[str] = []

    async def effect(tx: Transaction) -> object:
        record = await known_lane(tx, lane)
        view = codec.lane_of(record, await world_of(record, house.clock))
        judgement = judge(codec.decode_state(record.state), view, by.who, is_owner=by.who != OPERATOR)
        if judgement is Judgement.TOO_LATE:
            reason = "the funding may have left: only the contract gives the money back now"
            raise Conflict("state", reason, "let it come to its end", fault=Fault.COORDINATOR)
        if judgement is Judgement.OWNERS_ONLY:
            raise Conflict(
                "state",
                "entries are closed",
                "two owners have to ask for it, each with their own key",
                fault=Fault.COORDINATOR,
            )
        asked = CancelAsked(by=by.who, reason=by.reason, is_owner=by.who != OPERATOR)
        await tx.put_facts(lane, [asked], f"operator:{by.who}", house.clock.wall())
        ends = judgement is Judgement.ENDS
        if ends:
            reached.extend(await _go_on(house, tx, lane))
        return {"cancelled": ends, "awaits_second_owner": not ends}

    answer = await act(house, by, Verb.CANCEL, effect, lane=lane)
    house.observer.applied(lane, reached)
    return answer


async def _go_on(house: House, tx: Transaction, lane: str) -> Sequence[str]:
    """The states that it reached."""
    await tx.resume(lane)
    reached = await applied(house, tx, lane)
    await tx.hurry(float(house.clock.wall()), lane=lane)
    return reached


def _unreadable(error: UnreadableRow) -> Conflict:
    fix = "run the release that wrote it, or restore a backup"
    return Conflict("competition", f"cannot be read: {error}", fix, fault=Fault.COORDINATOR)
