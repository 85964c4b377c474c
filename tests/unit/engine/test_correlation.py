"""One id from a request through inbox, duties and what follows, to the requests that services get."""

from __future__ import annotations

import httpx
from hypothesis import given
from hypothesis import strategies as st

from coordinator.adapters.http import HttpClient
from coordinator.domain.competitions.states import Created
from coordinator.domain.facts import Drafted
from coordinator.engine import codec
from coordinator.engine.duty import Done, Outcome, Task
from coordinator.engine.worker import Worker
from coordinator.ports.correlation import HEADER, WELL_FORMED, accepted, carrying, current
from coordinator_core.errors import Fault
from tests.support import lanes as b


@given(st.text(max_size=80))
def test_what_is_taken_over_is_well_formed(text: str) -> None:
    assert WELL_FORMED.fullmatch(accepted(text))
    assert accepted(text) == text or not WELL_FORMED.fullmatch(text)


def test_an_id_ends_with_its_task() -> None:
    with carrying("outer-0001"), carrying("inner-0001"):
        assert current() == "inner-0001"
    assert current() == ""


async def test_a_row_without_a_request_gets_an_id_of_its_own(house) -> None:
    await house.lane(Created(), wake=True)
    ((first,),) = await house.rows("SELECT request_id FROM inbox")
    assert WELL_FORMED.fullmatch(first)


async def drafted(house) -> None:
    """A competition that wants its terms published."""
    now = house.clock.now()
    async with house.store.write() as tx:
        await tx.create_lane(b.LANE, codec.encode_state(Created()), codec.tag(Created()), now)
        await tx.put_facts(b.LANE, [Drafted(draft="{}", event_ids=("",) * 9, closes_at=now)], "test", now)
        await tx.notify(b.LANE, 4, "test", "made", "made", now)


async def test_from_the_request_to_the_services(bench) -> None:
    house, seen = bench.house, []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers.get(HEADER))
        return httpx.Response(200)

    client = HttpClient("x", "http://x", fault=Fault.NODE, transport=httpx.MockTransport(answer))

    async def execute(_: Task[object]) -> Outcome:
        await client.get("/")
        return Done()

    with carrying("request-0042"):
        await drafted(house)
    while await house.applier.step():
        pass
    duties = await house.rows("SELECT id, kind, request_id FROM duty")
    assert duties
    assert {row[2] for row in duties} == {"request-0042"}

    kinds = {str(kind): execute for _, kind, _ in duties}
    worker = Worker(house.store, house.clockwork, house.wakeups, kinds)
    async with house.store.write() as tx:
        claimed = await tx.claim(float(house.clock.now()), 30.0, "owner", {"oracle": 4, "local": 4})
    for row in claimed:
        worker._slots.start(row.channel, row.lane)
        await worker._run(row)
    assert seen == ["request-0042"] * len(claimed)
    assert claimed
    results = await house.rows("SELECT request_id FROM inbox WHERE source = 'duty'")
    assert set(results) == {("request-0042",)}
    await client.get("/")
    assert seen[-1] is None
    await client.close()
