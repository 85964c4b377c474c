"""Bitcoin Core's JSON-RPC over HTTP: one call, one typed answer; refusals are errors with Core's number."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import httpx
import msgspec
from msgspec import Struct

from coordinator.adapters.http import HttpClient, RequestBudget, with_retries
from coordinator.ports.faults import Rejected, Unreachable, Unsuitable
from coordinator_core.errors import Fault
from coordinator_core.secret import Secret

T = TypeVar("T")

SERVICE = "bitcoin"
WARMING_UP = -28
REQUESTS_PER_SECOND = 1_000.0
"""Three for each block that is caught up with; the node is our own."""
REQUEST_BURST = 1_000
WRITES = frozenset({"sendrawtransaction", "submitpackage"})
MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""A full block of witness data, decoded, in hex twice."""


class RpcFailure(Struct):
    """The `error` member of an answer."""

    code: int
    message: str


class _Answer(Struct):
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: RpcFailure | None = None


class RpcError(Rejected):
    """The node refused a call; `number` is Core's error code."""

    code = "bitcoin.rpc"

    def __init__(self, method: str, failure: RpcFailure) -> None:
        super().__init__(SERVICE, f"{method}: {failure.message}", fault=Fault.NODE, remote_code=str(failure.code))
        self.number = failure.code
        self.message = failure.message


class CoreRpc:
    """Calls a node. The cookie file is read at each call: Core writes a new one at each start."""

    def __init__(
        self,
        url: str,
        *,
        cookie_file: Path | None = None,
        user: str = "",
        password: Secret | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._cookie_file = cookie_file
        self._user = user
        self._password = password
        self._http = HttpClient(
            SERVICE,
            url,
            fault=Fault.NODE,
            budget=RequestBudget(REQUESTS_PER_SECOND, REQUEST_BURST),
            max_connections=16,
            max_body=MAX_ANSWER_BYTES,
            transport=transport,
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def call(self, method: str, *params: object, kind: type[T], timeout: float | None = None) -> T:
        """One call; its result as `kind`. Amounts are read as decimals, never as binary floats.

        What only reads is asked again when the node gives no usable answer: a duty asks many times in a row, and one
        broken connection among them must not set it back. Raises RpcError, Unreachable (also while the node warms up)
        or Unsuitable (credentials).
        """
        if method in WRITES:
            return await self._call(method, params, kind, timeout)
        return await with_retries(lambda: self._call(method, params, kind, timeout))

    async def _call(self, method: str, params: Sequence[object], kind: type[T], timeout: float | None) -> T:
        body = {"jsonrpc": "2.0", "id": "coordinator", "method": method, "params": list(params)}
        headers = {"Authorization": self._authorization()}
        reply = await self._http.post("/", json=body, headers=headers, timeout=timeout)
        if reply.status in (401, 403):
            raise Unsuitable(SERVICE, "the node refused the RPC credentials", fault=Fault.COORDINATOR)
        if reply.is_later:
            raise reply.later()
        try:
            answer = msgspec.json.decode(reply.body, type=_Answer)
            if answer.error is None and reply.ok:
                return msgspec.json.decode(answer.result, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            reason = f"{method}: unexpected answer with status {reply.status}: {error}"
            raise Unreachable(SERVICE, reason, fault=Fault.NODE) from error
        if answer.error is None:
            raise Unreachable(SERVICE, f"{method}: status {reply.status} without an error", fault=Fault.NODE)
        if answer.error.code == WARMING_UP:
            raise Unreachable(SERVICE, answer.error.message, fault=Fault.NODE)
        raise RpcError(method, answer.error)

    def _authorization(self) -> Secret:
        if self._cookie_file is not None:
            try:
                pair = self._cookie_file.read_bytes().strip()
            except OSError as error:
                raise Unreachable(SERVICE, "the RPC cookie file cannot be read", fault=Fault.NODE) from error
        else:
            pair = f"{self._user}:".encode() + (self._password.reveal() if self._password else b"")
        return Secret(b"Basic " + base64.b64encode(pair))
