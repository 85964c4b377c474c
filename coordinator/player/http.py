"""The player's HTTP: finite time and size, typed answers, a fresh NIP-98 proof for every request that is signed."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeVar

import httpx
import msgspec

from coordinator.player import busy
from coordinator.player.answers import WrongAnswer, decode, decode_refusal
from coordinator_core.errors import CoreError, Fault, InvalidInput
from coordinator_core.nostr.nip98 import build_authorization
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

T = TypeVar("T")
Headers = Mapping[str, str] | Callable[[], Mapping[str, str]]
"""Headers of a request, or what makes them afresh each time that it is made: proofs are used once."""
NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

SECONDS: Final = 30.0
"""Longest silence of a server."""
TOTAL_SECONDS: Final = 120.0
"""Longest time for a whole answer, however it trickles in."""
MAX_ANSWER_BYTES: Final = 8_000_000
MAX_CONTRACT_BYTES: Final = 64_000_000
"""A contract and a claim kit grow with the number of outcomes, a wallet's list of payments with its age."""
_MAX_REFUSAL_BYTES: Final = 65_536
_SHOWN: Final = 500
_HIGHEST_PORT: Final = 65_535


class ServerRefused(CoreError):
    """A server answered with an error. `remote` is its stable code, if it gave one; `retry_after` the seconds for which
    it asked to be left alone."""

    code = "player.server_refused"

    def __init__(
        self,
        service: str,
        status: int,
        remote: str,
        detail: str,
        fault: Fault = Fault.COORDINATOR,
        *,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{service}: {detail} ({status} {remote})")
        self.fault = fault
        self.status = status
        self.remote = remote
        self.retry_after = retry_after


class NoAnswer(CoreError):
    """A server did not answer: try again."""

    code = "player.no_answer"

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(f"{service}: {reason}")
        self.fault = Fault.NODE


def _trusted(certificate: Path | None) -> ssl.SSLContext | bool:
    if certificate is None:
        return True
    try:
        return ssl.create_default_context(cafile=certificate)
    except (OSError, ssl.SSLError):
        raise InvalidInput("certificate", "cannot be read", "give a PEM file") from None


def _address(name: str, url: str) -> str:
    try:
        parsed = httpx.URL(url)
        port = parsed.port is None or 0 < parsed.port <= _HIGHEST_PORT
        usable = parsed.scheme in ("http", "https") and bool(parsed.host) and port
    except httpx.InvalidURL:
        usable = False
    if not usable:
        raise InvalidInput(f"{name} address", "is none of an HTTP server", "http:// or https:// with a host")
    return url.rstrip("/")


class Service:
    """One server, with the player's identity where it is wanted. `fault` is who answers for its answers."""

    def __init__(
        self,
        name: str,
        url: str,
        identity: SecretKey | None = None,
        *,
        fault: Fault = Fault.COORDINATOR,
        certificate: Path | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`certificate` is the one of a server that signed its own. Raises InvalidInput for one that cannot be used,
        and for an address that is none of an HTTP server."""
        self.name = name
        self.url = _address(name, url)
        self.fault = fault
        self._identity = identity
        self._client = httpx.AsyncClient(
            timeout=SECONDS, trust_env=False, verify=_trusted(certificate), transport=transport
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(
        self,
        path: str,
        *,
        signed: bool = False,
        headers: Headers = NO_HEADERS,
        limit: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        """A GET's body. Raises ServerRefused, NoAnswer, WrongAnswer beyond `limit` bytes."""
        return await self._send("GET", path, None, signed=signed, headers=headers, limit=limit)

    async def get_json(self, path: str, *, signed: bool = False) -> Any:
        """A GET's JSON of whatever shape, for who only shows it. Raises ServerRefused, NoAnswer, WrongAnswer."""
        return await self.read(path, object, signed=signed)

    async def read(
        self,
        path: str,
        kind: type[T],
        *,
        signed: bool = False,
        headers: Headers = NO_HEADERS,
        limit: int = MAX_ANSWER_BYTES,
    ) -> T:
        """A GET's JSON as `kind`. Raises ServerRefused, NoAnswer, WrongAnswer."""
        raw = await self.get(path, signed=signed, headers=headers, limit=limit)
        return decode(raw, kind, self._source(path), self.fault)

    async def send(
        self,
        path: str,
        body: object,
        kind: type[T],
        *,
        signed: bool = False,
        method: str = "POST",
        headers: Headers = NO_HEADERS,
    ) -> T:
        """A POST's (or PUT's) JSON as `kind`. Raises ServerRefused, NoAnswer, WrongAnswer."""
        raw = await self._send(method, path, msgspec.json.encode(body), signed=signed, headers=headers)
        return decode(raw, kind, self._source(path), self.fault)

    async def first_line(self, path: str, body: object, headers: dict[str, str]) -> bytes:
        """The first line of a stream that a POST opens; the rest is not waited for."""
        return await self._patiently(lambda: self._first_line(path, body, headers))

    async def _first_line(self, path: str, body: object, headers: dict[str, str]) -> bytes:
        async with self._answer("POST", path, msgspec.json.encode(body), headers) as response:
            line, length = b"", 0
            async for part in response.aiter_bytes():
                length += len(part)
                line = (line + part).lstrip()
                if b"\n" in line:
                    return line.partition(b"\n")[0]
                self._bounded(length, MAX_ANSWER_BYTES, path)
        if line:
            return line
        raise NoAnswer(self.name, "the stream ended without a word")

    async def post_raw(self, path: str, body: bytes) -> bytes:
        """A POST of bytes as they are."""
        return await self._send("POST", path, body, signed=False)

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes | None,
        *,
        signed: bool,
        headers: Headers = NO_HEADERS,
        limit: int = MAX_ANSWER_BYTES,
    ) -> bytes:
        return await self._patiently(lambda: self._once(method, path, body, signed, headers, limit))

    async def _patiently(self, request: Callable[[], Awaitable[bytes]]) -> bytes:
        """Make a request again after the pause that a 429 names: what was refused so had no effect."""
        for _ in range(busy.TRIES - 1):
            try:
                return await request()
            except ServerRefused as error:
                pause = busy.pause_of(error.status, error.retry_after)
                if pause is None:
                    raise
            await asyncio.sleep(pause)
        return await request()

    async def _once(
        self, method: str, path: str, body: bytes | None, signed: bool, headers: Headers, limit: int
    ) -> bytes:
        sent = dict(headers() if callable(headers) else headers)
        if signed and self._identity is not None:
            now = UnixTime(int(time.time()))
            sent["Authorization"] = build_authorization(method, f"{self.url}{path}", body, self._identity, now)
        async with self._answer(method, path, body, sent) as response:
            parts: list[bytes] = []
            async for part in response.aiter_bytes():
                parts.append(part)
                self._bounded(sum(map(len, parts)), limit, path)
            return b"".join(parts)

    @asynccontextmanager
    async def _answer(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """An answer whose body is still to be read. Raises ServerRefused, NoAnswer."""
        sent = dict(headers)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            async with (
                asyncio.timeout(TOTAL_SECONDS),
                self._client.stream(method, f"{self.url}{path}", content=body, headers=sent) as response,
            ):
                if not response.is_success:
                    raise self._refusal(response, await _beginning(response))
                yield response
        except TimeoutError as error:
            raise NoAnswer(self.name, f"no whole answer in {TOTAL_SECONDS:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            # UnicodeError: what the resolver raises for a host name that cannot be one.
            raise NoAnswer(self.name, type(error).__name__) from error

    def _bounded(self, length: int, limit: int, path: str) -> None:
        if length > limit:
            raise WrongAnswer(self._source(path), f"is longer than {limit} bytes", fault=self.fault)

    def _refusal(self, response: httpx.Response, body: bytes) -> ServerRefused:
        whole = decode_refusal(body)
        nested = whole.get("error")
        inner: dict[str, Any] = nested if isinstance(nested, dict) else whole
        # Not by the charset that the server names: a hostile one names a codec that fails.
        detail = str(inner.get("detail") or inner.get("message") or body[:_SHOWN].decode("utf-8", "replace"))
        remote = str(inner.get("code") or inner.get("type") or "")
        return ServerRefused(
            self.name,
            response.status_code,
            remote[:_SHOWN],
            detail[:_SHOWN],
            self.fault,
            retry_after=busy.retry_after(response.headers.get("Retry-After")),
        )

    def _source(self, path: str) -> str:
        return f"{self.name} {path.partition('?')[0]}"


async def _beginning(response: httpx.Response) -> bytes:
    body = b""
    async for part in response.aiter_bytes():
        body += part
        if len(body) > _MAX_REFUSAL_BYTES:
            break
    return body[:_MAX_REFUSAL_BYTES]
