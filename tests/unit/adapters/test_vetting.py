"""A service is worked with once it was found to be the right one, and not before, whatever is asked of it."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from coordinator.adapters.bitcoin.vetted import VettedChain
from coordinator.adapters.lightning.vetted import VettedLightning
from coordinator.adapters.vetting import Vetting
from coordinator.ports.bitcoin import Chain
from coordinator.ports.condition import Condition
from coordinator.ports.faults import Unreachable, Unsuitable
from coordinator.ports.lightning import Lightning
from coordinator_core.errors import Fault

GOOD = Condition("lightning", "0.21")
UNSYNCED = Condition("lightning", "0.21", problem="it is behind the chain")
AWAY = Condition("lightning", problem="ConnectError", answers=False)
WRONG = Condition("lightning", "0.21", problem="it is on mainnet", answers=False, unsuitable=True)


@dataclass
class Service:
    """A service in one condition after the other; the last one stays."""

    found: list[Condition]
    service: str = "lightning"
    asked: int = 0
    answer: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.answer.set()

    async def condition(self) -> Condition:
        self.asked += 1
        await self.answer.wait()
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]


def vetting(*found: Condition) -> tuple[Vetting, Service]:
    service = Service(list(found))
    return Vetting(service, Fault.LIGHTNING), service


@pytest.mark.parametrize("found", [GOOD, UNSYNCED], ids=["ready", "not in step"])
async def test_once_it_has_answered_as_the_right_one_it_is_not_looked_at_again(found: Condition) -> None:
    made, service = vetting(found)
    for _ in range(3):
        await made.require()
    assert service.asked == 1


async def test_one_that_is_away_is_asked_until_it_answers() -> None:
    made, _ = vetting(AWAY, AWAY, GOOD)
    for _ in range(2):
        with pytest.raises(Unreachable, match="ConnectError") as away:
            await made.require()
        assert away.value.fault is Fault.LIGHTNING
    await made.require()


async def test_the_wrong_one_stays_unused_and_its_sentence_is_said_once() -> None:
    made, service = vetting(AWAY, WRONG, WRONG, GOOD)
    with capture_logs() as said:
        with pytest.raises(Unreachable):
            await made.require()
        for _ in range(2):
            with pytest.raises(Unsuitable, match="it is on mainnet"):
                await made.require()
        await made.require()
    assert [(line["event"], line.get("reason")) for line in said] == [
        ("not ready yet", "ConnectError"),
        ("cannot be used", "it is on mainnet"),
        ("ready", None),
    ]
    assert service.asked == 4


async def test_many_who_wait_for_it_are_one_question_and_none_ends_it_for_the_others() -> None:
    made, service = vetting(GOOD)
    service.answer.clear()
    asking = [asyncio.create_task(made.require()) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    service.answer.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert (found[1:], service.asked) == ([None] * 19, 1)


async def test_one_that_hangs_is_away() -> None:
    service = Service([GOOD])
    service.answer.clear()
    with pytest.raises(Unreachable, match="did not answer within"):
        await Vetting(service, Fault.LIGHTNING, patience=0.01).require()


class Recorder:
    """A service that says what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        async def call(*given: object, **named: object) -> object:
            self.asked.append((name, given, named))
            return self.asked[-1]

        async def stream(*given: object, **named: object) -> Any:
            yield await call(*given, **named)

        return stream if name == "invoice_updates" else call


def calls(port: type) -> list[str]:
    return [name for name, member in vars(port).items() if inspect.isfunction(member) and not name.startswith("_")]


def arguments(port: type, name: str) -> tuple[list[str], dict[str, str]]:
    """A value of its own for each parameter."""
    parameters = list(inspect.signature(getattr(port, name)).parameters.values())[1:]
    given = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    return given, {p.name: f"the {p.name}" for p in parameters if p.kind is p.KEYWORD_ONLY}


async def asked(vetted: Any, port: type, name: str) -> object:
    given, named = arguments(port, name)
    answer = getattr(vetted, name)(*given, **named)
    if inspect.isasyncgen(answer):
        return await anext(answer)
    return await answer


ALL = [(VettedChain, Chain, name) for name in calls(Chain)] + [
    (VettedLightning, Lightning, name) for name in calls(Lightning)
]


@pytest.mark.parametrize(("vetted", "port", "name"), ALL, ids=[f"{port.__name__}.{name}" for _, port, name in ALL])
async def test_whatever_is_asked_is_asked_of_the_right_one_only(vetted: type, port: type, name: str) -> None:
    recorder, (made, _) = Recorder(), vetting(WRONG, GOOD)
    service = vetted(recorder, made)
    with pytest.raises(Unsuitable):
        await asked(service, port, name)
    assert recorder.asked == []
    given, named = arguments(port, name)
    assert await asked(service, port, name) == (name, tuple(given), named)
