"""An outage that no duty meets: players seal and approve at the gateway, and nobody loses a seat for its absence."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from coordinator.domain import facts as f
from coordinator.domain.competitions import closing
from coordinator.domain.competitions import states as s
from coordinator.engine import codec
from coordinator.engine.apply import world_of
from coordinator.engine.components import Dependency
from coordinator.engine.dependencies import Dependencies
from coordinator.engine.engine import Engine
from coordinator.engine.outages import AHEAD_SECONDS, CLOSING, LEAST_SECONDS, MARGIN_SECONDS, Outages
from coordinator_core.units import UnixTime
from tests.support import lanes as b

TEN_MINUTES = 600
LOOK = 4
"""Seconds from one look to the next while a service is away."""


@pytest.fixture
async def sealing(house: Any) -> str:
    """The window is open, one of three has sealed: no duty is due until the next one does."""
    house.clock.seconds = b.WALL
    lane = await house.lane(b.awaiting_keygen(), *b.seats(), b.session(), b.seal("entry-1"), b.registered("entry-1"))
    await house.apply(lane)
    assert not any(name.startswith("keymeld.") for name in await house.duties(lane))
    return lane


@pytest.fixture
def outages(house: Any) -> Outages:
    return Outages(house.store, house.clockwork, house.wakeups)


async def last(house: Any, outages: Outages, seconds: int, *away: Dependency) -> None:
    """So long a time with a look every few seconds; the loops that follow from it run."""
    since = house.clock.now()
    for _ in range(0, seconds, LOOK):
        house.clock.seconds += LOOK
        await outages.note({dependency: since for dependency in away})
        while await house.applier.step():
            pass


async def outages_of(house: Any, lane: str) -> list[f.Outage]:
    record = await house.store.lane(lane)
    return sorted(record.facts.all(f.Outage), key=lambda fact: fact.since)


async def deadline(house: Any, lane: str) -> int:
    record = await house.store.lane(lane)
    view = codec.lane_of(record, await world_of(record, house.clockwork))
    end = closing.sealing_deadline(view, 1)
    assert end is not None
    return end


async def test_nobody_is_dropped_while_the_gateway_is_away(house: Any, outages: Outages, sealing: str) -> None:
    await last(house, outages, TEN_MINUTES, Dependency.KEYMELD)
    house.wakeups.apply.clear()
    assert await house.apply(sealing) == b.awaiting_keygen()
    left = await deadline(house, sealing) - house.clock.seconds
    assert b.SEALING <= left <= b.SEALING + AHEAD_SECONDS
    # Back again: the window goes on, and who does not seal in it is dropped.
    await last(house, outages, b.SEALING - LOOK)
    assert await house.apply(sealing) == b.awaiting_keygen()
    house.clock.seconds += AHEAD_SECONDS + LOOK
    assert not isinstance(await house.apply(sealing), s.AwaitingKeygen)


async def test_a_long_outage_is_one_time_in_a_few_parts(house: Any, outages: Outages, sealing: str) -> None:
    await last(house, outages, TEN_MINUTES, Dependency.KEYMELD, Dependency.ORACLE)
    parts = [part for part in await outages_of(house, sealing) if part.service == "keymeld"]
    assert parts[0].since == b.WALL
    assert all(before.until == after.since for before, after in pairwise(parts))
    assert house.clock.seconds <= parts[-1].until <= house.clock.seconds + AHEAD_SECONDS
    assert len(parts) <= TEN_MINUTES // (AHEAD_SECONDS - MARGIN_SECONDS)


async def test_what_could_not_be_written_is_written_at_the_next_look(
    house: Any, outages: Outages, sealing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    since, write = house.clock.now(), house.store.write

    @asynccontextmanager
    async def full() -> AsyncIterator[Any]:
        async with write() as tx:
            yield tx
            raise OSError("no space left on device")

    house.clock.seconds += LOOK
    with monkeypatch.context() as patched:
        patched.setattr(house.store, "write", full)
        with pytest.raises(OSError, match="no space"):
            await outages.note({Dependency.KEYMELD: since})
    assert await outages_of(house, sealing) == []
    house.clock.seconds += LOOK
    await outages.note({Dependency.KEYMELD: since})
    assert [part.since for part in await outages_of(house, sealing)] == [since]


async def test_a_flap_is_none_and_lightning_has_no_window(house: Any, outages: Outages, sealing: str) -> None:
    now = house.clock.now()
    house.clock.seconds += LEAST_SECONDS - 1
    await outages.note({Dependency.KEYMELD: now})
    await outages.note({})
    await last(house, outages, 60, Dependency.LIGHTNING)
    assert await outages_of(house, sealing) == []


async def test_a_closing_that_begins_meanwhile_is_told_too(house: Any, outages: Outages, sealing: str) -> None:
    await last(house, outages, LOOK, Dependency.CHAIN)
    later = await house.lane(b.event_created(), *b.seats(), name="later")
    selling = await house.lane(s.CollectingEntries(terms_hash="h"), name="selling")
    await last(house, outages, LOOK, Dependency.CHAIN)
    assert [part.service for part in await outages_of(house, later)] == ["chain"] * len(await outages_of(house, later))
    assert await outages_of(house, later)
    assert await outages_of(house, selling) == []


async def test_every_state_that_ends_with_the_closing_is_told() -> None:
    ends = s.Closing.__args__ + s.Opening.__args__
    tags = {str(state.__struct_config__.tag) for state in ends}
    assert set(CLOSING) == tags - {"created", "collecting_entries", "funding_ready"}


async def test_what_the_services_say_is_what_is_written_down(bench: Any) -> None:
    """Through the looks themselves: a gateway that answers nothing for a minute."""
    house = bench.house
    lane = await house.lane(b.awaiting_keygen(), *b.seats(), b.session(opened_at=house.clock.seconds))
    dependencies = Dependencies(bench.services, house.clockwork, house.wakeups)
    since = house.clock.now()
    for _ in range(15):
        house.clock.seconds += LOOK
        await dependencies.look()
    parts = [part for part in await outages_of(house, lane) if part.service == "keymeld"]
    assert UnixTime(since) <= parts[0].since <= UnixTime(since + LOOK)
    assert parts[-1].until >= house.clock.seconds


@pytest.mark.parametrize("make", [b.event_created, b.awaiting_keygen, b.entries_submitted, b.awaiting_signing])
async def test_time_in_which_we_were_down_ourselves_does_not_count(bench: Any, make: Any) -> None:
    house = bench.house
    lane = await house.lane(make(), *b.seats())
    selling = await house.lane(s.CollectingEntries(terms_hash="h"), *b.seats(("entry-5",)), name="selling")
    house.clock.seconds += TEN_MINUTES
    await Engine(bench.services, poll_seconds=60.0)._note_downtime()
    assert await outages_of(house, lane) == [
        f.Outage(service="coordinator", since=UnixTime(house.clock.seconds - TEN_MINUTES), until=house.clock.now())
    ]
    assert await outages_of(house, selling) == []
