"""The one place of httpx: finite time, bounded bodies, paced requests, errors that say what was sent.

An adapter makes one `HttpClient` for its service. A status is a value: only a missing or unusable answer
raises. Nothing is repeated here except by `get_with_retries`, which is for reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ssl import SSLCertVerificationError, SSLContext
from types import TracebackType
from typing import Self, TypeVar

import httpx
import msgspec
import stamina

from coordinator.adapters.budget import RequestBudget
from coordinator.adapters.reply import Reply, TransportError
from coordinator.ports import correlation
from coordinator.ports.faults import Unreachable, Unsuitable
from coordinator_core.errors import Fault
from coordinator_core.secret import Secret

__all__ = ["HttpClient", "Reply", "RequestBudget", "TransportError", "with_retries"]

T = TypeVar("T")

USER_AGENT = "coordinator/0.1"
CONNECT_SECONDS = 5.0
REQUEST_SECONDS = 30.0
MAX_BODY_BYTES = 32 * 1024 * 1024
CERTIFICATE = "its TLS certificate is not the expected one"

_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

Headers = Mapping[str, str | Secret]


class HttpClient:
    """HTTP to one service. Use as an async context manager, or call `close`.

    `base_url` holds no credentials (pass them as headers, a `Secret` is revealed only on the wire). Redirects
    are not followed and the environment's proxies are not used. `fault` is who has to act when the service
    gives no answer. `verify` is a TLS context that trusts the service, or True for the public authorities.
    """

    def __init__(
        self,
        service: str,
        base_url: str,
        *,
        fault: Fault,
        headers: Headers | None = None,
        verify: SSLContext | bool = True,
        timeout: float = REQUEST_SECONDS,
        budget: RequestBudget | None = None,
        max_connections: int = 16,
        max_body: int = MAX_BODY_BYTES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.service = service
        self.fault = fault
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._budget = budget
        self._max_body = max_body
        self._client = httpx.AsyncClient(
            base_url=_checked_url(service, base_url),
            headers={"User-Agent": USER_AGENT},
            verify=verify,
            timeout=_timeouts(timeout),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            follow_redirects=False,
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        content: bytes | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """One request, one answer of any status, within `timeout` seconds in all. Never repeated.

        `json` is encoded by msgspec; `content` is sent as it is. Raises TransportError.
        """
        limit = self._timeout if timeout is None else timeout
        request = self._build(method, path, params, json, content, headers, limit)
        await self._take_turn()
        try:
            async with asyncio.timeout(limit):
                response = await self._client.send(request, stream=True)
                try:
                    body = await self._read(response)
                finally:
                    await response.aclose()
        except TimeoutError as error:
            raise self._error(f"no answer within {limit:g} s") from error
        except httpx.HTTPError as error:
            raise self._error(_reason(error), sent=not isinstance(error, _NOT_SENT)) from error
        return self._reply(response, body)

    async def get(
        self, path: str, *, params: Mapping[str, str | int] | None = None, headers: Headers | None = None
    ) -> Reply:
        """GET once."""
        return await self.request("GET", path, params=params, headers=headers)

    async def post(
        self,
        path: str,
        *,
        json: object = None,
        content: bytes | None = None,
        headers: Headers | None = None,
        timeout: float | None = None,
    ) -> Reply:
        """POST once. After a TransportError with `sent`, find out what happened before sending again."""
        return await self.request("POST", path, json=json, content=content, headers=headers, timeout=timeout)

    async def get_with_retries(
        self,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        headers: Headers | Callable[[], Headers] | None = None,
        attempts: int = 4,
        within: float = 30.0,
    ) -> Reply:
        """GET with jittered exponential pauses, or the pause of Retry-After; for idempotent reads only.

        `headers` may be a function, called for each attempt (signatures with a nonce). Statuses that ask to
        come back (429, 502, 503, 504) raise TransportError when attempts or `within` seconds are used up; all
        others are returned.
        """

        async def ask() -> Reply:
            fresh = headers() if callable(headers) else headers
            reply = await self.get(path, params=params, headers=fresh)
            if reply.is_later:
                raise reply.later()
            return reply

        return await with_retries(ask, attempts=attempts, within=within)

    def stream_lines(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        json: object = None,
        headers: Headers | None = None,
        idle: float = 60.0,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Open a stream of lines; ends with TransportError after `idle` silent seconds or when it breaks.

        Entering raises TransportError for a status other than 2xx, with the start of the body as reason.
        """
        request = self._build(method, path, params, json, None, headers, idle)
        return self._lines(request)

    @asynccontextmanager
    async def _lines(self, request: httpx.Request) -> AsyncGenerator[AsyncIterator[bytes]]:
        await self._take_turn()
        try:
            response = await self._client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise self._error(_reason(error), sent=not isinstance(error, _NOT_SENT)) from error
        try:
            if not 200 <= response.status_code < 300:
                raise await self._refused_stream(response)
            yield self._split(response)
        finally:
            await response.aclose()

    async def _refused_stream(self, response: httpx.Response) -> TransportError:
        try:
            body = await self._read(response)
        except httpx.HTTPError as error:
            return self._error(_reason(error))
        reply = self._reply(response, body)
        text = body[:300].decode("utf-8", "replace")
        error = TransportError(
            self.service,
            f"stream refused with status {reply.status}: {text}",
            fault=self.fault,
            retry_after=reply.retry_after,
        )
        error.refused = reply
        return error

    async def _split(self, response: httpx.Response) -> AsyncGenerator[bytes]:
        rest = b""
        try:
            async for chunk in response.aiter_bytes():
                *lines, rest = (rest + chunk).split(b"\n")
                if len(rest) > self._max_body:
                    raise self._error(f"a line longer than {self._max_body} bytes")
                for line in lines:
                    if line.strip():
                        yield line
        except httpx.HTTPError as error:
            raise self._error(_reason(error)) from error
        if rest.strip():
            yield rest

    async def _take_turn(self) -> None:
        if self._budget is not None:
            await self._budget.take(self.service, self.fault)

    async def _read(self, response: httpx.Response) -> bytes:
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._max_body:
                raise self._error(f"an answer longer than {self._max_body} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    def _build(
        self,
        method: str,
        path: str,
        params: Mapping[str, str | int] | None,
        json: object,
        content: bytes | None,
        headers: Headers | None,
        limit: float,
    ) -> httpx.Request:
        sent = {name: _text(value) for name, value in {**self._headers, **(headers or {})}.items()}
        if request_id := correlation.current():
            sent[correlation.HEADER] = request_id
        if json is not None:
            content = msgspec.json.encode(json)
            sent["Content-Type"] = "application/json"
        return self._client.build_request(
            method, path, params=params, content=content, headers=sent, timeout=_timeouts(limit)
        )

    def _reply(self, response: httpx.Response, body: bytes) -> Reply:
        reply = Reply(self.service, self.fault, response.status_code, dict(response.headers), body)
        if reply.status == 429 and self._budget is not None:
            self._budget.pause(reply.retry_after or 1.0)
        return reply

    def _error(self, reason: str, *, sent: bool = True) -> TransportError:
        return TransportError(self.service, reason, fault=self.fault, sent=sent)


async def with_retries(ask: Callable[[], Awaitable[T]], *, attempts: int = 4, within: float = 30.0) -> T:
    """Ask again when the service is Unreachable, after jittered exponential pauses or that of Retry-After; only for
    what changes nothing. Raises what the last attempt raised, when `attempts` or `within` seconds are used up.
    """
    async for attempt in stamina.retry_context(
        on=lambda error: _pause_before_next(error, within),
        attempts=attempts,
        timeout=within,
        wait_initial=0.2,
        wait_max=5.0,
        wait_jitter=0.5,
    ):
        with attempt:
            return await ask()
    raise AssertionError("unreachable: the last attempt returns or raises")


def _pause_before_next(error: Exception, within: float) -> bool | float:
    if not isinstance(error, Unreachable):
        return False
    if error.retry_after is None:
        return True
    # A pause longer than the whole call is the caller's to make: it finds it in the error.
    return error.retry_after if error.retry_after < within else False


def _timeouts(limit: float) -> httpx.Timeout:
    return httpx.Timeout(limit, connect=min(limit, CONNECT_SECONDS))


def _text(value: str | Secret) -> str:
    return value.reveal().decode("ascii") if isinstance(value, Secret) else value


def _reason(error: httpx.HTTPError) -> str:
    # The text of some httpx errors names the whole URL; the kind alone cannot leak anything.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, SSLCertVerificationError):
            return f"{CERTIFICATE}: {cause.verify_message}"
        cause = cause.__cause__ or cause.__context__
    return type(error).__name__


def _checked_url(service: str, base_url: str) -> httpx.URL:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise Unsuitable(service, "its address is not a URL", fault=Fault.COORDINATOR) from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Unsuitable(service, "its address is not http:// or https://", fault=Fault.COORDINATOR)
    if url.userinfo:
        raise Unsuitable(service, "its address holds credentials; configure them apart", fault=Fault.COORDINATOR)
    return url
