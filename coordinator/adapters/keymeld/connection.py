"""Requests to one gateway: paths, signed headers by the gateway's clock, gzip bodies, its error envelope.

Source: keymeld section 2.1.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from typing import Any, cast

import httpx
from msgspec import Struct

from coordinator.adapters.http import HttpClient, Reply, RequestBudget, TransportError
from coordinator.adapters.keymeld.answers import from_gateway
from coordinator.ports.clock import WallClock
from coordinator.ports.faults import Rejected
from coordinator_core.errors import Fault
from coordinator_core.keymeld.canonical import canonical_json
from coordinator_core.keymeld.members import Members
from coordinator_core.units import Seconds, UnixTime

SERVICE = "keymeld"
BASE_PATH = "/api/v1"
REQUESTS_PER_SECOND = 25.0
GZIP_FROM_BYTES = 256

_CLOCK_AGE = Seconds(60)
_MAX_MESSAGE = 300


class Refusal(Struct, frozen=True):
    """The gateway's own words for an error status."""

    status: int
    kind: str
    message: str

    @classmethod
    def of(cls, reply: Reply) -> Refusal:
        """From the error envelope, or from plain text where the gateway answers so."""
        try:
            error = cast("Mapping[str, Any]", reply.json())["error"]
            return cls(reply.status, str(error["type"]), str(error["message"])[:_MAX_MESSAGE])
        except (TransportError, KeyError, TypeError):
            return cls(reply.status, "", reply.body[:_MAX_MESSAGE].decode("utf-8", "replace"))

    def says(self, *texts: str) -> bool:
        """True when the message holds one of `texts`, which are lower case."""
        return any(text in self.message.lower() for text in texts)

    def rejected(self, *, fault: Fault = Fault.SIGNER) -> Rejected:
        """This refusal as the port's general one."""
        reason = f"{self.status} {self.message}"
        return Rejected(SERVICE, reason, fault=fault, remote_code=self.kind)


class Connection:
    """HTTP to one gateway with its clock.

    `compress` sends bodies from 256 bytes on as gzip, as the protocol's SDK does.
    """

    def __init__(
        self,
        base_url: str,
        clock: WallClock,
        *,
        compress: bool = True,
        budget: RequestBudget | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._http = HttpClient(
            SERVICE,
            base_url,
            fault=Fault.SIGNER,
            budget=budget or RequestBudget(REQUESTS_PER_SECOND, burst=10),
            transport=transport,
        )
        self._clock = clock
        self._compress = compress
        self._offset = 0
        self._read_at: UnixTime | None = None

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def now(self) -> UnixTime:
        """The gateway's time, read at most once a minute."""
        now = self._clock.now()
        if self._read_at is None or not 0 <= now - self._read_at <= _CLOCK_AGE:
            await self._read_clock()
        return UnixTime(self._clock.now() + self._offset)

    async def get(self, path: str, header: tuple[str, Callable[[UnixTime], str]] | None = None) -> Reply:
        """A read, retried; `header` is a name and what signs it afresh for each attempt."""
        if header is None:
            return self._answered(await self._http.get_with_retries(BASE_PATH + path))
        await self.now()
        name, sign = header
        return self._answered(
            await self._http.get_with_retries(
                BASE_PATH + path, headers=lambda: {name: sign(UnixTime(self._clock.now() + self._offset))}
            )
        )

    async def post(self, path: str, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        """A write, sent once.

        Raises TransportError for no answer and for answers that leave the effect open.
        """
        content = canonical_json(body)
        sent = {"Content-Type": "application/json", **(headers or {})}
        if self._compress and len(content) >= GZIP_FROM_BYTES:
            content = gzip.compress(content, mtime=0)
            sent["Content-Encoding"] = "gzip"
        return self._answered(await self._http.post(BASE_PATH + path, content=content, headers=sent))

    def _answered(self, reply: Reply) -> Reply:
        if reply.status >= 500 or reply.is_later:
            raise reply.later()
        return reply

    async def _read_clock(self) -> None:
        reply = await self.get("/enclaves")
        if not reply.ok:
            raise Refusal.of(reply).rejected()
        with from_gateway("enclaves"):
            listed = Members(reply.json(), "enclaves", ("enclaves",), only=False).array("enclaves", 1000)
            ids = [Members(entry, "enclave", ("enclave_id",), only=False).integer("enclave_id") for entry in listed]
        if not ids:
            raise TransportError(SERVICE, "has no enclave", fault=Fault.SIGNER)
        await self.enclave(min(ids))

    async def enclave(self, enclave_id: int) -> Members:
        """One enclave's public key answer; its timestamp sets the clock."""
        reply = await self.get(f"/enclaves/{enclave_id}/public-key")
        if not reply.ok:
            raise Refusal.of(reply).rejected()
        names = ("enclave_id", "public_key", "attestation_document", "timestamp", "healthy", "key_epoch")
        with from_gateway("public-key"):
            answer = Members(reply.json(), "public-key", names, only=False)
            timestamp = answer.integer("timestamp")
        self._read_at = self._clock.now()
        self._offset = timestamp - self._read_at
        return answer
