"""The relay on its socket: ready line, WebSocket, NIP-11, kill -9 after an OK."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.support.nostr_events import sign

Start = Callable[[], tuple[subprocess.Popen[str], str]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[subprocess.Popen[str]] = []

    def run() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "coordinator.embedded.relay", "--data-dir", str(tmp_path / "data")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["service"] == "relay"
        return process, ready["url"]

    yield run
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class Client:
    """A connection; what comes, in order, None at the end."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.connection: WebSocketClientConnection | None = None

    def take(self, message: str | bytes | None) -> None:
        self.heard.put_nowait(message)
        if message is None:
            self.gone.set()

    async def hear(self) -> Any:
        async with asyncio.timeout(10):
            message = await self.heard.get()
        return None if message is None else json.loads(message)

    async def send(self, message: str | bytes, *, binary: bool = False) -> None:
        assert self.connection is not None
        await self.connection.write_message(message, binary=binary)

    async def say(self, *message: Any) -> Any:
        await self.send(json.dumps(message))
        return await self.hear()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    client = Client()
    client.connection = await websocket_connect(url, on_message_callback=client.take)
    try:
        yield client
    finally:
        client.connection.close()
        async with asyncio.timeout(10):
            await client.gone.wait()


async def test_kill_9_loses_no_event_that_was_acknowledged(start: Start) -> None:
    process, url = start()
    made = sign(kind=1059, content="kept", tags=[["p", "aa" * 32]], created_at=1_700_000_000)
    async with connected(url) as client:
        assert await client.say("EVENT", made) == ["OK", made["id"], True, ""]
        process.send_signal(signal.SIGKILL)
        process.wait()

    _, url = start()
    async with connected(url) as client:
        assert await client.say("REQ", "a", {"#p": ["aa" * 32]}) == ["EVENT", "a", made]
        assert await client.hear() == ["EOSE", "a"]


async def test_one_client_hears_another(start: Start) -> None:
    _, url = start()
    async with connected(url) as reader, connected(url) as writer:
        assert await reader.say("REQ", "all", {"kinds": [1059]}) == ["EOSE", "all"]
        made = sign(kind=1059, created_at=1_700_000_000)
        assert (await writer.say("EVENT", made))[2] is True
        assert await reader.hear() == ["EVENT", "all", made]
        await writer.send(b"binary", binary=True)
        assert await writer.say("REQ", "x", {"limit": 0}) == ["EOSE", "x"]


async def test_information_document_and_sigterm(start: Start) -> None:
    process, url = start()
    async with httpx.AsyncClient(trust_env=False) as browser:
        answer = await browser.get(url.replace("ws://", "http://"), headers={"accept": "application/nostr+json"})
    assert answer.headers["content-type"] == "application/nostr+json"
    assert answer.json()["supported_nips"] == [1, 11]
    async with connected(url) as client:
        process.send_signal(signal.SIGTERM)
        assert await client.hear() is None
    assert process.wait(10) == 0


def test_refuses_mainnet(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "coordinator.embedded.relay", "--data-dir", str(tmp_path / "data")]
    refused = subprocess.run(
        [*command, "--network", "mainnet"], capture_output=True, text=True, check=False, timeout=20
    )
    assert refused.returncode == 2
    assert not (tmp_path / "data").exists()
