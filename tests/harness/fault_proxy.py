"""A server between the coordinator and one service: passes calls on, breaks some, writes down every effect.

It knows the coordinator by its User-Agent: players and the harness itself meet no faults here. Every connection
carries one call, so that a broken one breaks no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from tests.harness.faults import SLOW_SECONDS, Fault, FaultKind, FaultSource

COORDINATOR: Final = b"coordinator/"
MAX_HEAD: Final = 64 * 1024
CHUNK: Final = 64 * 1024
SECONDS: Final = 60.0
"""Longest silence of a service before a call counts as broken."""

REPLIES: Final = {
    FaultKind.INTERNAL_ERROR: (
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 5\r\nconnection: close\r\n\r\nbroke"
    ),
    FaultKind.TOO_MANY: (
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 4\r\nconnection: close\r\n\r\nbusy"
    ),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it came."""

    method: str
    path: str
    head: bytes
    body: bytes
    coordinator: bool


class Broken(Exception):
    """The connection ended where it should not have."""


OnCall = Callable[[Call], Awaitable[None]]


class FaultProxy:
    """Use as an async context manager. `before` hears of each of the coordinator's calls that reach the service,
    `after` once the service has begun to answer.
    """

    def __init__(self, target: str, faults: FaultSource, before: OnCall, after: OnCall) -> None:
        self._target = urlsplit(target)
        self._faults = faults
        self._before = before
        self._after = after
        self._away_until = 0.0
        self.url = ""

    async def listen(self) -> str:
        """Begin to listen, on a port that is kept; the address."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_HEAD)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self.url

    def aim(self, target: str) -> None:
        """Name the service, when it starts after the proxy."""
        self._target = urlsplit(target)

    async def __aenter__(self) -> Self:
        if not self.url:
            await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        await self._server.wait_closed()

    def part(self, seconds: float) -> None:
        """Away for the coordinator for so long."""
        self._away_until = max(self._away_until, time.monotonic() + seconds)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            call = await _read_call(reader)
            await self._answer(call, reader, writer)
            writer.close()
        except (OSError, Broken, asyncio.IncompleteReadError, TimeoutError):
            writer.transport.abort()

    async def _answer(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self._faults.draw() if call.coordinator else None
        if fault is not None and fault.kind is FaultKind.PARTITION:
            self.part(fault.seconds)
        if call.coordinator and time.monotonic() < self._away_until:
            raise Broken
        if fault is None:
            await self._pass_on(call, reader, writer)
        else:
            await self._break(call, fault, reader, writer)

    async def _break(
        self, call: Call, fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        match fault.kind:
            case FaultKind.REFUSED | FaultKind.PARTITION:
                raise Broken
            case FaultKind.INTERNAL_ERROR | FaultKind.TOO_MANY:
                writer.write(REPLIES[fault.kind])
                await writer.drain()
            case FaultKind.HALF_OPEN:
                await asyncio.sleep(fault.seconds)
                raise Broken
            case FaultKind.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
                await self._pass_on(call, reader, writer)
            case FaultKind.TRUNCATED:
                answer = await self._whole_start(call)
                writer.write(answer[: len(answer) // 2])
                await writer.drain()
                raise Broken
            case FaultKind.DUPLICATED:
                answers = [await self._whole_start(call), await self._whole_start(call)]
                writer.write(answers[fault.second_answer])
                await writer.drain()
            case FaultKind.LOST_ACKNOWLEDGEMENT:
                await self._whole_start(call)
                raise Broken

    async def _connect(self, call: Call) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if call.coordinator:
            await self._before(call)
        reader, writer = await asyncio.open_connection(self._target.hostname, self._target.port)
        writer.write(call.head + call.body)
        await writer.drain()
        return reader, writer

    async def _whole_start(self, call: Call) -> bytes:
        """An answer as far as it comes at once: all of it, or the beginning of a stream that goes on."""
        reader, writer = await self._connect(call)
        answer = b""
        try:
            async with asyncio.timeout(SECONDS):
                answer = await reader.read(CHUNK)
                while not _is_stream(answer) and (more := await reader.read(CHUNK)):
                    answer += more
        finally:
            writer.close()
        await self._after_call(call)
        return answer

    async def _pass_on(self, call: Call, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        source, sink = await self._connect(call)
        gone = asyncio.create_task(_until_gone(reader))
        try:
            first = True
            while chunk := await _read_or_gone(source, gone):
                if first:
                    await self._after_call(call)
                first = False
                writer.write(chunk)
                await writer.drain()
        finally:
            gone.cancel()
            sink.close()

    async def _after_call(self, call: Call) -> None:
        if call.coordinator:
            await self._after(call)


async def _until_gone(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(OSError):
        await reader.read()


async def _read_or_gone(source: asyncio.StreamReader, gone: asyncio.Task[None]) -> bytes:
    """The next piece; nothing at the end, or when who asked has gone."""
    piece = asyncio.create_task(source.read(CHUNK))
    done, _ = await asyncio.wait((piece, gone), return_when=asyncio.FIRST_COMPLETED)
    if piece in done:
        return piece.result()
    piece.cancel()
    raise Broken


async def _read_call(reader: asyncio.StreamReader) -> Call:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head[:-4].split(b"\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
    kept = [line for line in lines if not line.lower().startswith((b"connection:", b"keep-alive:"))]
    method, path, _ = first.decode("latin-1").split(" ", 2)
    passed = b"\r\n".join([first, *kept, b"Connection: close", b"", b""])
    return Call(method, path, passed, body, headers.get(b"user-agent", b"").startswith(COORDINATOR))


def _is_stream(start: bytes) -> bool:
    """An answer in pieces without a known end: LND's streams."""
    head, _, body = start.partition(b"\r\n\r\n")
    return bool(body) and b"application/json" in head.lower() and b"content-length" not in head.lower()
