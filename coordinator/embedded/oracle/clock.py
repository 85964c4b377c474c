"""The time the oracle lives by: the machine's, one set by hand, or that of a Bitcoin node's tip.

Only dates of events follow this clock; signed requests are always checked against the machine's own.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

RPC_SECONDS = 5.0


class ClockUnavailable(Exception):
    """The node whose time is followed did not answer, or answered nonsense."""


class Clock:
    """Seconds since 1970 as events see them. Never runs backwards except by set()."""

    def __init__(self, machine: Callable[[], float] = time.time) -> None:
        self._machine = machine
        self._set: int | None = None

    def now(self) -> int:
        """The present second."""
        return int(self._machine()) if self._set is None else self._set

    def set(self, seconds: int | None) -> None:
        """Stand still at `seconds` from now on, or follow the machine again (None)."""
        self._set = seconds


class ChainTime(msgspec.Struct, frozen=True):
    """What is read of a node's getblockchaininfo."""

    chain: str
    time: int


class NodeTime:
    """Reads the time in the header of a node's best block over JSON-RPC."""

    def __init__(self, url: str, cookie_file: Path | None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ClockUnavailable("the node's address must be http://HOST:PORT")
        self._host = parts.hostname
        self._port = parts.port or 80
        self._path = parts.path or "/"
        self._cookie_file = cookie_file

    async def read(self) -> ChainTime:
        """Ask the node. Raises ClockUnavailable."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> ChainTime:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=RPC_SECONDS)
        body = msgspec.json.encode({"jsonrpc": "1.0", "id": "clock", "method": "getblockchaininfo", "params": []})
        try:
            connection.request("POST", self._path, body, self._headers())
            answer = connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            raise ClockUnavailable(f"the node did not answer: {type(error).__name__}") from error
        finally:
            connection.close()
        try:
            return msgspec.json.decode(answer, type=_RpcAnswer).result
        except msgspec.DecodeError as error:
            raise ClockUnavailable("the node's answer is not chain information") from error

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/json"}
        if self._cookie_file is not None:
            cookie = self._cookie_file.read_bytes().strip()
            headers["Authorization"] = "Basic " + base64.b64encode(cookie).decode("ascii")
        return headers


class _RpcAnswer(msgspec.Struct, frozen=True):
    result: ChainTime
