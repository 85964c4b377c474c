"""New money pauses while a service is away, unknown counts as away, and recovery takes one question."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import suppress
from typing import Any

import pytest

from coordinator.domain.duties import Channel
from coordinator.domain.gates import GRACE
from coordinator.engine import dependencies as module
from coordinator.engine.breakers import Breakers
from coordinator.engine.chain import ChainLoop
from coordinator.engine.dependencies import NEVER_ANSWERED, NO_ANSWER, Away, Dependencies, Dependency
from coordinator.engine.metrics.meters import Meters
from coordinator.engine.new_money import NewMoney, NewMoneyPaused
from coordinator.engine.worker import Worker
from coordinator.ports.faults import Unreachable
from coordinator.ports.keymeld import EnclaveKey
from coordinator.ports.lightning import NodeInfo
from coordinator_core.competition.fees import FeeMarket, NetworkFeeTooHigh, NoFeeEstimate
from coordinator_core.errors import Fault, VerificationFailed
from coordinator_core.units import Blocks, FeeRate, Height, UnixTime
from tests.support import lanes as b
from tests.support.ports import LedgerLightning
from tests.support.scene import BookOracle

MARKET = FeeMarket(FeeRate(500), FeeRate(250))


class Gateway:
    """A keymeld gateway with one enclave."""

    def __init__(self) -> None:
        self.healthy = True

    async def enclaves(self) -> tuple[EnclaveKey, ...]:
        return (EnclaveKey(1, b"\x02" * 33, 1, True, False),) if self.healthy else ()


@dataclasses.dataclass
class World:
    """Every service of one engine, and what asks them."""

    bench: Any
    clock: Any
    gateway: Gateway
    dependencies: Dependencies

    @property
    def services(self) -> Any:
        return self.bench.services

    def cut(self, service: object, call: str, error: Exception) -> None:
        async def refuse(*_: object) -> object:
            raise error

        setattr(service, call, refuse)

    def mend(self, service: object, call: str) -> None:
        vars(service).pop(call)


@pytest.fixture
def world(bench) -> World:
    gateway = Gateway()
    services = dataclasses.replace(bench.services, keymeld=gateway, lightning=LedgerLightning(), oracle=BookOracle())
    bench.services = services
    house = bench.house
    return World(bench, house.clock, gateway, Dependencies(services, house.clockwork, house.wakeups))


CALLS = {
    Dependency.LIGHTNING: ("lightning", "info"),
    Dependency.CHAIN: ("chain", "fee_rate"),
    Dependency.ORACLE: ("oracle", "public_key"),
    Dependency.KEYMELD: ("keymeld", "enclaves"),
}


async def test_what_nobody_answered_for_since_the_start_is_away(world: World) -> None:
    began = world.clock.now()
    world.clock.seconds += 100
    assert world.dependencies.away == tuple(Away(d, began, NEVER_ANSWERED) for d in Dependency)
    assert world.dependencies.market is None
    await world.dependencies.ask(Dependency.ORACLE)
    assert [away.dependency for away in world.dependencies.away] == [
        Dependency.LIGHTNING,
        Dependency.CHAIN,
        Dependency.KEYMELD,
    ]
    await world.dependencies.look()
    assert world.dependencies.away == ()
    assert world.dependencies.market == MARKET


@pytest.mark.parametrize("dependency", list(Dependency))
@pytest.mark.parametrize(
    "error",
    [
        Unreachable("x", "no answer", fault=Fault.NODE),
        VerificationFailed("x", "is no key"),
        ZeroDivisionError("a defect of ours"),
    ],
)
async def test_each_one_alone_pauses_and_is_back_with_its_next_answer(
    world: World, dependency: Dependency, error: Exception
) -> None:
    service, call = getattr(world.services, CALLS[dependency][0]), CALLS[dependency][1]
    await world.dependencies.look()
    world.clock.seconds += 50
    since = world.clock.now()
    world.cut(service, call, error)
    await world.dependencies.look()
    world.clock.seconds += 50
    await world.dependencies.look()
    assert world.dependencies.away == (Away(dependency, since, NO_ANSWER),)
    world.mend(service, call)
    await world.dependencies.look()
    assert world.dependencies.away == ()


async def test_a_service_that_hangs_is_away_and_holds_nobody_up(world: World, monkeypatch: Any) -> None:
    loop = asyncio.get_running_loop()
    time = loop.time

    async def hang() -> bytes:
        # The limit is over once the others have answered: nobody waits for it, and a slow machine changes nothing.
        while len(world.dependencies.away) > 1:  # noqa: ASYNC110  (nothing tells an event of it)
            await asyncio.sleep(0)
        monkeypatch.setattr(loop, "time", lambda: time() + module.PATIENCE_SECONDS)
        await asyncio.Event().wait()
        return b""

    world.services.oracle.public_key = hang
    await world.dependencies.look()
    assert [away.dependency for away in world.dependencies.away] == [Dependency.ORACLE]


async def test_an_answer_that_says_not_now_is_none(world: World) -> None:
    world.gateway.healthy = False

    async def unsynced() -> NodeInfo:
        return NodeInfo("0.21", "regtest", Height(1), False, "02" * 33, Blocks(18))

    world.services.lightning.info = unsynced
    await world.dependencies.look()
    assert {away.dependency: away.reason for away in world.dependencies.away} == {
        Dependency.LIGHTNING: "is not synced to the chain",
        Dependency.KEYMELD: "has no healthy enclave",
    }


async def test_lightning_has_two_minutes_after_a_block_that_it_heard_of_first(world: World, monkeypatch: Any) -> None:
    """It says at once that it is not synced; the node shows the block when it is asked then."""
    await world.dependencies.look()
    known = await world.services.lightning.info()
    fields = {name: getattr(known, name) for name in known.__struct_fields__}

    async def unsynced() -> NodeInfo:
        return NodeInfo(**{**fields, "synced_to_chain": False})

    world.services.lightning.info = unsynced
    world.bench.house.chain.mine()
    await world.dependencies.ask(Dependency.LIGHTNING)
    assert world.dependencies.away == ()
    late = world.dependencies.lookout.clock() + GRACE
    monkeypatch.setattr(world.dependencies.lookout, "clock", lambda: late)
    await world.dependencies.ask(Dependency.LIGHTNING)
    assert [away.reason for away in world.dependencies.away] == ["is not synced to the chain"]


@pytest.mark.parametrize("ahead", [6, 7])
async def test_more_than_six_blocks_behind_no_ticket_is_sold_and_the_page_says_why(world: World, ahead: int) -> None:
    for _ in range(ahead):
        world.bench.house.chain.mine()
    await world.dependencies.look()
    reasons = [away.sentence for away in world.dependencies.away]
    assert reasons == ([] if ahead == 6 else ["chain is ahead: 7 blocks of the Bitcoin node are not processed yet"])
    assert world.dependencies.market == MARKET
    loop = ChainLoop(
        *(world.bench.house.store, world.services.chain, world.bench.house.clockwork, world.bench.house.wakeups),
        poll_seconds=0.0,
        lookout=world.dependencies.lookout,
    )
    while await loop.step():
        pass
    assert world.dependencies.away == ()


async def test_a_failure_elsewhere_asks_at_once(world: World, monkeypatch: Any) -> None:
    """Fifteen seconds need not pass: the loop hears of the first duty or block that met no answer."""
    monkeypatch.setattr(module, "LEAST_PAUSE", 0.0)
    house = world.bench.house
    await world.dependencies.look()
    world.cut(world.services.oracle, "public_key", Unreachable("oracle", "away", fault=Fault.ORACLE))
    asked = asyncio.Event()
    monkeypatch.setattr(world.dependencies, "look", noted(world.dependencies.look, asked))
    running = asyncio.create_task(world.dependencies.run())
    try:
        house.wakeups.probe.set()
        async with asyncio.timeout(10):
            await asked.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert [away.dependency for away in world.dependencies.away] == [Dependency.ORACLE]


def noted(look: Any, asked: asyncio.Event) -> Any:
    async def noting() -> None:
        await look()
        asked.set()

    return noting


async def test_the_chain_loop_and_the_worker_say_when_they_met_no_answer(world: World) -> None:
    house = world.bench.house
    house.chain.away = True
    loop = ChainLoop(house.store, house.chain, house.clockwork, house.wakeups, poll_seconds=60.0)
    assert await heard(house, loop.run())
    await house.lane(b.event_created(), *b.seats(), wake=True)
    while await house.applier.step():
        pass

    async def unreachable(task: Any) -> Any:
        raise Unreachable("oracle", "away", fault=Fault.ORACLE)

    async with house.store.write_connection() as connection:
        await connection.exec_driver_sql("UPDATE duty SET due_at = 0 WHERE channel = ?", (Channel.ORACLE.value,))
    work = {"oracle.create_event": unreachable}
    assert await heard(house, Worker(house.store, house.clockwork, house.wakeups, work).run())


async def heard(house: Any, loop: Any) -> bool:
    """Whether a loop asked for a look at the services."""
    task = asyncio.create_task(loop)
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(10):
                await house.wakeups.probe.wait()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    asked = house.wakeups.probe.is_set()
    house.wakeups.probe.clear()
    return asked


def test_the_price_says_who_is_away_and_since_when() -> None:
    away = (Away(Dependency.ORACLE, UnixTime(0), NO_ANSWER), Away(Dependency.CHAIN, UnixTime(60), NO_ANSWER))
    with pytest.raises(NewMoneyPaused) as caught:
        NewMoney(None, away).price(b.terms_with())
    assert caught.value.fault is Fault.ORACLE
    assert caught.value.reason == (
        "sells no ticket now: oracle does not answer since 1970-01-01 00:00:00 UTC, "
        "chain does not answer since 1970-01-01 00:01:00 UTC"
    )
    assert [(p.dependency, p.since) for p in NewMoney(None, away).pauses(b.terms_with())] == [
        ("oracle", 0),
        ("chain", 60),
    ]


def test_fees_pause_and_everything_in_order_does_not() -> None:
    assert NewMoney(MARKET).pauses(b.terms_with()) == ()
    assert NewMoney(MARKET).price(b.terms_with()).entry_fee == 50_000
    dear = NewMoney(FeeMarket(FeeRate(12_000), FeeRate(250)))
    with pytest.raises(NetworkFeeTooHigh):
        dear.price(b.terms_with())
    with pytest.raises(NoFeeEstimate):
        NewMoney(None).price(b.terms_with())
    (pause,) = dear.pauses(b.terms_with())
    assert (pause.dependency, pause.since) == ("chain", None)
    assert "more than a tenth of the entry fee" in pause.reason


async def test_service_that_is_seen_back_closes_its_breakers_and_wakes_the_duties(world: World) -> None:
    house, meters = world.bench.house, Meters()
    breakers = Breakers(lambda: 0.0, meters.breakers)
    asked = Dependencies(world.services, house.clockwork, house.wakeups, breakers=breakers)
    await asked.look()
    for channel in ("lightning", "watch", "chain"):
        for _ in range(5):
            breakers.note(channel, answered=False)
    house.wakeups.duties.clear()
    # It answered all the time: whether the duties get an answer, they find out by themselves.
    await asked.look()
    assert breakers.open == {"lightning", "watch", "chain"}
    world.cut(world.services.lightning, "info", Unreachable("lightning", "away", fault=Fault.LIGHTNING))
    await asked.look()
    assert not house.wakeups.duties.is_set()
    world.mend(world.services.lightning, "info")
    await asked.look()
    assert breakers.open == {"chain"}
    assert house.wakeups.duties.is_set()
