"""A gateway that answers from a script of hand-written exchanges, and a client that talks to it."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import stamina

from coordinator.adapters.http import RequestBudget
from coordinator.adapters.keymeld import KeymeldGateway
from coordinator.ports.keymeld import EnclaveKey
from coordinator_core.units import UnixTime
from tests.support.keymeld_answers import GATEWAY_TIME

LOCAL_TIME = UnixTime(1_700_000_000)

Answer = httpx.Response | Exception | Callable[[Any], httpx.Response]


@dataclass
class Seen:
    """One request as it arrived, its body unpacked."""

    path: str
    headers: httpx.Headers
    body: Any


class Script:
    """Answers by method and path, in order; the last answer of a path stays. An unknown path is a failure."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], list[Answer]] = {}
        self.seen: list[Seen] = []
        self.enclave(1, "02466d7fcae563e5cb09a0d1870bb580344804617879a14949cf22285f1bae3f27")
        self.on("GET", "/enclaves", self.listed(1))

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, "/api/v1" + path] = list(answers)

    def listed(self, *enclaves: int, **members: Any) -> httpx.Response:
        entries = [{"enclave_id": number, "healthy": True, **members} for number in enclaves]
        return httpx.Response(200, json={"enclaves": entries, "total_enclaves": len(entries)})

    def enclave(self, number: int, public_key: str, *, epoch: int = 3, healthy: bool = True) -> None:
        body = {
            "enclave_id": number,
            "public_key": public_key,
            "attestation_document": "",
            "pcr_measurements": {},
            "timestamp": GATEWAY_TIME,
            "healthy": healthy,
            "key_epoch": epoch,
        }
        self.on("GET", f"/enclaves/{number}/public-key", httpx.Response(200, json=body))

    def __call__(self, request: httpx.Request) -> httpx.Response:
        content = request.content
        if request.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        body = json.loads(content) if content else None
        self.seen.append(Seen(request.url.path, request.headers, body))
        answers = self.answers[request.method, request.url.path]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        # A response object is consumed when it is read: the last one is answered again and again.
        return (
            httpx.Response(answer.status_code, content=answer.content, headers=answer.headers)
            if isinstance(answer, httpx.Response)
            else answer(body)
        )

    def posts(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == "/api/v1" + path]


def refusal(status: int, message: str, kind: str = "bad_request") -> httpx.Response:
    """The error envelope of section 2.1."""
    body = {"error": {"type": kind, "message": message, "code": status}, "timestamp": GATEWAY_TIME}
    return httpx.Response(status, json=body)


class LocalClock:
    """The coordinator's clock, 500 s behind the gateway's."""

    def now(self) -> UnixTime:
        return LOCAL_TIME


async def no_sleep(seconds: float) -> None:
    """Polling without waiting."""


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def refuse() -> Callable[..., httpx.Response]:
    return refusal


@pytest.fixture
def paths(keygen: Any) -> dict[str, str]:
    base = f"/keygen/{keygen.keygen_session_id}"
    return {name: f"{base}/{name}" for name in ("initialize", "participants", "status", "slots")}


@pytest.fixture
def pinned(keygen: Any, script: Any) -> list[EnclaveKey]:
    for number, secret in keygen.enclaves.items():
        script.enclave(number, secret.public_key.hex())
    script.on("GET", "/enclaves", script.listed(7, 1))
    return [EnclaveKey(number, secret.public_key, 3, True, False) for number, secret in keygen.enclaves.items()]


@pytest.fixture
async def gateway(script: Script) -> AsyncIterator[KeymeldGateway]:
    client = KeymeldGateway(
        "http://gateway",
        LocalClock(),
        transport=httpx.MockTransport(script),
        budget=RequestBudget(1e6, burst=1000),
        sleep=no_sleep,
    )
    with stamina.set_testing(True, attempts=3, cap=True):
        async with client:
            yield client
