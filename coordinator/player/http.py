"""The player's HTTP: finite time, problem details as errors, a fresh NIP-98 proof for every request."""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import httpx
import msgspec

from coordinator_core.errors import CoreError, Fault, InvalidInput
from coordinator_core.nostr.nip98 import build_authorization
from coordinator_core.secp256k1 import SecretKey
from coordinator_core.units import UnixTime

SECONDS = 30.0


class ServerRefused(CoreError):
    """A server answered with an error. `remote` is its stable code, if it gave one."""

    code = "player.server_refused"

    def __init__(self, service: str, status: int, remote: str, detail: str) -> None:
        super().__init__(f"{service}: {detail} ({status} {remote})")
        self.fault = Fault.COORDINATOR
        self.status = status
        self.remote = remote


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


class Service:
    """One server, with the player's identity where it is wanted."""

    def __init__(
        self, name: str, url: str, identity: SecretKey | None = None, *, certificate: Path | None = None
    ) -> None:
        """`certificate` is the one of a server that signed its own. Raises InvalidInput when it cannot be used."""
        self.name = name
        self.url = url.rstrip("/")
        self._identity = identity
        self._client = httpx.AsyncClient(timeout=SECONDS, trust_env=False, verify=_trusted(certificate))

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def get(self, path: str, *, signed: bool = False, headers: dict[str, str] | None = None) -> bytes:
        """A GET's body. Raises ServerRefused, NoAnswer."""
        return await self._send("GET", path, None, signed=signed, headers=headers)

    async def get_json(self, path: str, *, signed: bool = False, headers: dict[str, str] | None = None) -> Any:
        """A GET's JSON. Raises ServerRefused, NoAnswer."""
        return self._json(await self.get(path, signed=signed, headers=headers))

    async def post(self, path: str, body: object, *, signed: bool = False, method: str = "POST") -> Any:
        """A POST's (or PUT's) JSON. Raises ServerRefused, NoAnswer."""
        return self._json(await self._send(method, path, msgspec.json.encode(body), signed=signed))

    async def post_with(self, path: str, body: object, headers: dict[str, str]) -> Any:
        """A POST with headers of the caller's."""
        return self._json(await self._send("POST", path, msgspec.json.encode(body), signed=False, headers=headers))

    async def first_line(self, path: str, body: object, headers: dict[str, str]) -> bytes:
        """The first line of a stream that a POST opens; the rest is not waited for."""
        try:
            async with self._client.stream("POST", f"{self.url}{path}", json=body, headers=headers) as response:
                if not response.is_success:
                    await response.aread()
                    raise self._refusal(response)
                async for line in response.aiter_lines():
                    if line.strip():
                        return line.encode()
        except httpx.HTTPError as error:
            raise NoAnswer(self.name, type(error).__name__) from error
        raise NoAnswer(self.name, "the stream ended without a word")

    async def post_raw(self, path: str, body: bytes) -> bytes:
        """A POST of bytes as they are."""
        return await self._send("POST", path, body, signed=False)

    async def _send(
        self, method: str, path: str, body: bytes | None, *, signed: bool, headers: dict[str, str] | None = None
    ) -> bytes:
        url = f"{self.url}{path}"
        sent = dict(headers or {})
        if signed and self._identity is not None:
            now = UnixTime(int(time.time()))
            sent["Authorization"] = build_authorization(method, url, body, self._identity, now)
        if body is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            response = await self._client.request(method, url, content=body, headers=sent)
        except httpx.HTTPError as error:
            raise NoAnswer(self.name, type(error).__name__) from error
        if response.is_success:
            return response.content
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> ServerRefused:
        try:
            problem = msgspec.json.decode(response.content)
        except msgspec.DecodeError:
            problem = {}
        whole: dict[str, Any] = problem if isinstance(problem, dict) else {}
        nested = whole.get("error")
        inner: dict[str, Any] = nested if isinstance(nested, dict) else whole
        detail = str(inner.get("detail") or inner.get("message") or response.text[:200])
        return ServerRefused(self.name, response.status_code, str(inner.get("code") or inner.get("type") or ""), detail)

    def _json(self, body: bytes) -> Any:
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError as error:
            raise NoAnswer(self.name, "an answer that is not JSON") from error
