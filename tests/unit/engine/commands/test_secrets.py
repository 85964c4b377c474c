"""Secrets of a command: written with the facts that rely on them, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from coordinator.adapters.secrets import SealedSecrets
from coordinator.domain.competitions import states as s
from coordinator.engine.apply import InvariantViolation
from coordinator.engine.submit import Conflict, Decision, submit
from coordinator_core.errors import Misuse, Refused
from coordinator_core.secret import Secret
from tests.support import lanes as b

OPEN = s.CollectingEntries(terms_hash="h")
NAME, PREIMAGE = "ticket/aa", Secret(b"\x07" * 32)


@pytest.fixture
def secrets(house: Any) -> SealedSecrets:
    return SealedSecrets(house.store, Secret(bytes(32)))


@pytest.fixture
def call(house: Any, secrets: SealedSecrets):
    async def call(lane: str, dkey: str, decide: Any, value: Secret = PREIMAGE) -> bytes:
        sealed = {NAME: secrets.seal(lane, NAME, value)}
        house_parts = (house.store, house.clockwork, house.wakeups)
        return await submit(*house_parts, lane=lane, kind="test", dkey=dkey, decide=decide, secrets=sealed)

    return call


async def stored(house: Any) -> list[tuple[object, ...]]:
    return await house.rows("SELECT lane, name FROM secret")


def take(entry_id: str = "entry-1"):
    def decide(state: object, lane: object) -> Decision:
        return Decision([b.ticket(entry_id)], entry_id, [(f"hash:{entry_id}", "ticket", "ticket_hash")])

    return decide


async def test_on_disk_with_the_facts_of_its_command(house: Any, secrets: SealedSecrets, call: Any) -> None:
    lane = await house.lane(OPEN)
    await call(lane, "key", take())
    assert await secrets.get(lane, NAME) == PREIMAGE
    assert await stored(house) == [(lane, NAME)]


async def test_none_is_left_of_a_command_that_the_rules_refuse(house: Any, call: Any) -> None:
    lane = await house.lane(OPEN)

    def refuse(state: object, found: object) -> Decision:
        raise Conflict("competition", "is full")

    with pytest.raises(Conflict):
        await call(lane, "key", refuse)
    assert await stored(house) == []


async def test_none_is_left_when_the_competition_is_stopped(house: Any, call: Any) -> None:
    lane = await house.lane(OPEN)
    async with house.store.write() as tx:
        await tx.quarantine(lane, "contradiction", 0)
    with pytest.raises(Conflict, match="operator"):
        await call(lane, "key", take())
    assert await stored(house) == []


async def test_none_is_left_when_a_hash_is_in_use(house: Any, call: Any) -> None:
    first, second = await house.lane(OPEN), await house.lane(OPEN, name="other")
    await call(first, "key", take())
    with pytest.raises(Refused) as caught:
        await call(second, "other key", take())
    assert caught.value.field == "ticket_hash"
    assert await stored(house) == [(first, NAME)]


async def test_none_is_left_when_the_step_after_it_fails(
    house: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written already when the lane turns out to contradict itself: all of the transaction goes."""
    lane = await house.lane(OPEN)

    async def contradict(*parts: object) -> None:
        raise InvariantViolation("contradiction")

    monkeypatch.setattr("coordinator.engine.submit.apply_lane", contradict)
    with pytest.raises(InvariantViolation):
        await call(lane, "key", take())
    assert await stored(house) == []


async def test_a_repeated_command_keeps_the_first_and_no_second(house: Any, secrets: SealedSecrets, call: Any) -> None:
    lane = await house.lane(OPEN)
    answers = {await call(lane, "key", take(), Secret(bytes([n]) * 32)) for n in (1, 2)}
    assert answers == {b'"entry-1"'}
    assert await secrets.get(lane, NAME) == Secret(b"\x01" * 32)


async def test_what_is_there_is_never_written_over(house: Any, secrets: SealedSecrets, call: Any) -> None:
    lane = await house.lane(OPEN)
    await secrets.put(lane, NAME, PREIMAGE)
    await call(lane, "key", take(), Secret(b"\x09" * 32))
    assert await secrets.get(lane, NAME) == PREIMAGE
    with pytest.raises(Misuse, match="written before"):
        await secrets.put(lane, NAME, Secret(b"\x09" * 32))


async def test_what_is_sealed_opens_under_its_own_name_only(house: Any, secrets: SealedSecrets) -> None:
    lane = await house.lane(OPEN)
    sealed = secrets.seal(lane, NAME, PREIMAGE)
    assert PREIMAGE.reveal() not in sealed
    async with house.store.write() as tx:
        await tx.put_secret(lane, "ticket/bb", sealed)
    with pytest.raises(InvalidTag):
        await secrets.get(lane, "ticket/bb")
