"""HTTP within one process: httpx talks to ASGI applications by their addresses, streams and long polls included."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final
from unittest import mock
from urllib.parse import unquote

import httpx

from tests.harness.faults import SLOW_SECONDS, Fault, FaultKind
from tests.harness.sim.links import COORDINATOR, Link, Manner

Message = MutableMapping[str, Any]
App = Callable[[Any, Any, Any], Awaitable[None]]

FIRST_PORT: Final = 20_000
Canned = tuple[int, list[tuple[bytes, bytes]], bytes]
BROKE: Final[Canned] = (500, [(b"content-type", b"text/plain")], b"broke")
BUSY: Final[Canned] = (429, [(b"content-type", b"text/plain"), (b"retry-after", b"1")], b"busy")

log = logging.getLogger(__name__)


class Network:
    """Addresses of one simulated machine, all on its loopback."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, int], tuple[App, Link]] = {}
        self._port = FIRST_PORT
        self.running: set[asyncio.Task[None]] = set()

    def serve(self, name: str, app: App, *, port: int = 0) -> tuple[str, Link]:
        """An address for an application; the same port again replaces what was there."""
        if not port:
            self._port += 1
            port = self._port
        link = Link(name)
        self._places["127.0.0.1", port] = (app, link)
        return f"http://127.0.0.1:{port}", link

    def remove(self, url: str) -> None:
        """Nobody listens there any more."""
        parsed = httpx.URL(url)
        self._places.pop((parsed.host, int(parsed.port or 0)))

    def find(self, url: httpx.URL) -> tuple[App, Link]:
        """Who listens there. Raises httpx.ConnectError."""
        try:
            return self._places[url.host, int(url.port or 0)]
        except KeyError:
            raise httpx.ConnectError("nobody listens") from None

    @contextmanager
    def instead_of_sockets(self) -> Iterator[None]:
        """Every httpx client that is made meanwhile uses this network."""

        def transport(**_: Any) -> httpx.AsyncBaseTransport:
            return _Transport(self)

        with mock.patch("httpx._client.AsyncHTTPTransport", transport):
            yield

    async def close(self) -> None:
        """End what still runs in the applications."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, network: Network) -> None:
        self._network = network

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        app, link = self._network.find(request.url)
        await request.aread()
        patience: dict[str, float | None] = request.extensions.get("timeout", {})
        refusal = await _outage(link, patience)
        if refusal is not None:
            return _canned(refusal)
        fault = link.draw(request.headers.get("user-agent", ""), request.method, request.url.path)
        if fault is None:
            return await self._deliver(app, link, request, patience)
        return await self._break(fault, app, link, request, patience)

    async def _deliver(
        self, app: App, link: Link, request: httpx.Request, patience: dict[str, float | None]
    ) -> httpx.Response:
        link.calls += 1
        if link.watch is not None and request.headers.get("user-agent", "").startswith(COORDINATOR):
            link.watch(request.method, request.url.path, request.content)
        exchange = Exchange(request, link.cut, patience.get("read"))
        task = asyncio.create_task(exchange.serve(app), name=f"{link.name} {request.method} {request.url.path}")
        self._network.running.add(task)
        task.add_done_callback(self._network.running.discard)
        try:
            status, headers = await exchange.head()
        except BaseException:
            exchange.leave()
            raise
        return httpx.Response(status, headers=headers, stream=exchange)

    async def _break(
        self, fault: Fault, app: App, link: Link, request: httpx.Request, patience: dict[str, float | None]
    ) -> httpx.Response:
        match fault.kind:
            case FaultKind.REFUSED | FaultKind.PARTITION:
                raise httpx.ConnectError("refused")
            case FaultKind.INTERNAL_ERROR | FaultKind.TOO_MANY:
                return _canned(BROKE if fault.kind is FaultKind.INTERNAL_ERROR else BUSY)
            case FaultKind.HALF_OPEN:
                await _silence(fault.seconds, patience)
                raise httpx.ReadError("broke off")
            case FaultKind.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
                return await self._deliver(app, link, request, patience)
            case FaultKind.TRUNCATED:
                answer = await self._deliver(app, link, request, patience)
                return httpx.Response(answer.status_code, headers=answer.headers, stream=_Half(answer))
            case FaultKind.DUPLICATED:
                answers = [await self._deliver(app, link, request, patience) for _ in range(2)]
                await answers[not fault.second_answer].aclose()
                return answers[fault.second_answer]
            case FaultKind.LOST_ACKNOWLEDGEMENT:
                answer = await self._deliver(app, link, request, patience)
                await answer.aclose()
                raise httpx.ReadError("broke off")


class Exchange(httpx.AsyncByteStream):
    """One call of an application and its answer, piece by piece as it is sent."""

    def __init__(self, request: httpx.Request, cut: asyncio.Event, patience: float | None) -> None:
        self._request = request
        self._patience = patience
        self._cut = asyncio.ensure_future(cut.wait())
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._begun: asyncio.Future[tuple[int, list[tuple[bytes, bytes]]]] = asyncio.get_running_loop().create_future()
        self._left = asyncio.Event()
        self._asked = False
        self._whole = False

    async def serve(self, app: App) -> None:
        """Run the application. One that fails answers 500, or breaks off what it had begun."""
        try:
            await app(_scope(self._request), self._receive, self._send)
        except Exception:
            log.exception("%s %s failed", self._request.method, self._request.url.path)
        finally:
            if not self._begun.done():
                self._begun.set_result((BROKE[0], BROKE[1]))
                self._whole = True
            self._pieces.put_nowait(None)

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers. Raises httpx.ReadTimeout, httpx.ReadError."""
        await self._either(self._begun)
        return self._begun.result()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            piece = asyncio.ensure_future(self._pieces.get())
            try:
                await self._either(piece)
            finally:
                piece.cancel()
            content = piece.result()
            if content is None:
                if not self._whole:
                    raise httpx.RemoteProtocolError("ended early")
                return
            if content:
                yield content

    async def aclose(self) -> None:
        """See httpx."""
        self.leave()

    def leave(self) -> None:
        """Who asked has gone."""
        self._cut.cancel()
        self._left.set()

    async def _either(self, wanted: asyncio.Future[Any]) -> None:
        """Wait for something, for the end of the connection, or for as long as the patience lasts."""
        done, _ = await asyncio.wait({wanted, self._cut}, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
        if wanted in done:
            return
        self.leave()
        raise httpx.ReadError("broke off") if done else httpx.ReadTimeout("no answer")

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._request.content, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._begun.set_result((message["status"], list(message.get("headers", ()))))
        elif message["type"] == "http.response.body" and not self._left.is_set():
            self._pieces.put_nowait(bytes(message.get("body", b"")))
            if not message.get("more_body", False):
                self._whole = True
                self._pieces.put_nowait(None)


class _Half(httpx.AsyncByteStream):
    """An answer that ends in its middle."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncGenerator[bytes]:
        async for piece in self._answer.stream:  # type: ignore[union-attr]
            yield piece[: len(piece) // 2]
            break
        raise httpx.ReadError("broke off")

    async def aclose(self) -> None:
        await self._answer.aclose()


def _scope(request: httpx.Request) -> Message:
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": unquote(url.path),
        "raw_path": url.raw_path.partition(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 40_000),
        "server": (url.host, url.port),
        "state": {},
        "extensions": {},
    }


def _canned(answer: Canned) -> httpx.Response:
    status, headers, body = answer
    return httpx.Response(status, headers=headers, content=body)


async def _outage(link: Link, patience: dict[str, float | None]) -> Canned | None:
    """What an outage does to a call that comes now: an answer that is not the service's, or None to let it pass."""
    match link.manner:
        case Manner.SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        case Manner.HALF_OPEN:
            await _silence(None, patience)
        case Manner.REFUSED:
            raise httpx.ConnectError("refused")
        case Manner.INTERNAL_ERROR:
            return BROKE
        case Manner.TOO_MANY:
            return BUSY
        case None:
            pass
    return None


async def _silence(seconds: float | None, patience: dict[str, float | None]) -> None:
    """Nothing comes for so long. Raises httpx.ReadTimeout when the patience of who asks ends first."""
    limit = patience.get("read")
    if seconds is not None and (limit is None or seconds < limit):
        await asyncio.sleep(seconds)
        return
    if limit is None:
        await asyncio.Event().wait()
    await asyncio.sleep(limit or 0.0)
    raise httpx.ReadTimeout("no answer")
