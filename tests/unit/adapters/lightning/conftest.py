"""LND's client on recorded and on hand-written answers."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
import stamina

from coordinator.adapters.lightning import LndNode
from coordinator_core.secret import Secret

VECTORS = Path(__file__).parents[3] / "vectors" / "lnd" / "exchanges.jsonl"
MACAROON = b"\x02\x01\x03lnd"


class Tape:
    """Answers in order of their call; the last one of a call stays. A request that nobody recorded fails the test."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self._exchanges = exchanges
        self.requests: list[httpx.Request] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        assert request.headers["grpc-metadata-macaroon"] == MACAROON.hex()
        fitting = [e for e in self._exchanges if _same_call(e, request)]
        assert fitting, f"nobody recorded {request.method} {request.url.raw_path!r}"
        exchange = fitting[0]
        if len(fitting) > 1:
            self._exchanges.remove(exchange)
        if request.content and isinstance(exchange["request"], dict):
            _check_body(exchange["request"], json.loads(request.content))
        return _response(exchange)


def _same_call(exchange: dict[str, Any], request: httpx.Request) -> bool:
    path, query = exchange["path"], exchange["query"]
    return (
        exchange["method"] == request.method
        and unquote(request.url.path) == path
        and (query is None or unquote(request.url.query.decode()) == unquote(query))
    )


def _check_body(recorded: dict[str, Any], sent: dict[str, Any]) -> None:
    """What both name is written alike; base64 in either alphabet, as LND reads it."""
    for name in recorded.keys() & sent.keys() - {"fee_limit_sat", "timeout_seconds", "cltv_limit"}:
        assert sent[name].replace("-", "+").replace("_", "/") == recorded[name], name


def _response(exchange: dict[str, Any]) -> httpx.Response:
    if exchange["status"] is None:
        raise httpx.ConnectError("refused")
    body = exchange["body"]
    lines = body if isinstance(body, list) else [body]
    return httpx.Response(exchange["status"], content="\n".join(json.dumps(line) for line in lines))


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, Any]]:
    """Every recorded exchange by name."""
    return {exchange["name"]: exchange for exchange in map(json.loads, VECTORS.read_text().splitlines())}


def written(method: str, path: str, body: Any, *, status: int = 200, query: str | None = None) -> dict[str, Any]:
    """An answer by hand; a list is a stream."""
    return {"method": method, "path": path, "query": query, "request": None, "status": status, "body": body}


@pytest.fixture
def by_hand() -> Callable[..., dict[str, Any]]:
    return written


@pytest.fixture
async def play(recorded: dict[str, dict[str, Any]]) -> AsyncIterator[Callable[..., LndNode]]:
    """A node that answers from the tape: names of recordings, or answers by hand."""
    nodes: list[LndNode] = []

    def build(*exchanges: str | dict[str, Any]) -> LndNode:
        tape = Tape([recorded[e] if isinstance(e, str) else e for e in exchanges])
        nodes.append(LndNode("http://127.0.0.1:1", Secret(MACAROON), transport=httpx.MockTransport(tape.handle)))
        return nodes[-1]

    yield build
    for node in nodes:
        await node.close()


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield
