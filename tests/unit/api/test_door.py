"""The door: who is inside is waited for, nobody comes in once it is closed, and connections end with their answers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from coordinator.api.door import Door, Doorway, Stopping
from tests.support.asgi import ask


class Room:
    """An ASGI application that answers when it is let."""

    def __init__(self) -> None:
        self.begun, self.let = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.set()
        await self.let.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b"done"})


async def test_who_is_inside_is_waited_for_and_leaves_its_connection() -> None:
    door, room = Door(), Room()
    request = asyncio.create_task(ask(Doorway(room, lambda: door), "GET", "/"))
    await room.begun.wait()
    door.close()
    waiting = asyncio.create_task(door.empty(30.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    room.let.set()
    assert await waiting
    answer = await request
    assert (answer.status, answer.body, answer.headers["connection"]) == (200, b"done", "close")


async def test_a_connection_is_kept_while_the_door_is_open() -> None:
    door, room = Door(), Room()
    room.let.set()
    answer = await ask(Doorway(room, lambda: door), "GET", "/")
    assert "connection" not in answer.headers
    assert await door.empty(0.0)


async def test_who_stays_too_long_is_put_out() -> None:
    door, room = Door(), Room()
    request = asyncio.create_task(ask(Doorway(room, lambda: door), "GET", "/"))
    await room.begun.wait()
    door.close()
    assert not await door.empty(0.01)
    with pytest.raises(asyncio.CancelledError):
        await request


def test_nobody_comes_in_once_it_is_closed() -> None:
    door = Door()
    door.require_open()
    door.close()
    with pytest.raises(Stopping):
        door.require_open()


async def test_a_coordinator_that_stops_says_so_and_still_answers_probes(house) -> None:
    assert (await house.browser.get("/api/v1/competitions")).status_code == 200
    house.door.close()
    refused = await house.browser.get("/api/v1/competitions")
    assert (refused.status_code, refused.json()["code"]) == (503, "coordinator.stopping")
    assert refused.headers["retry-after"] == "5"
    page = await house.browser.get("/", headers={"accept": "text/html"})
    assert page.status_code == 503
    ready = await house.browser.get("/readyz")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert ready.json()["services"][0]["problem"] == "it is stopping"
    assert (await house.browser.get("/livez")).status_code == 200
