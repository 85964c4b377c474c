"""Core's and Esplora's clients on recorded and on hand-written answers; a wallet over coins by hand."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import stamina

from coordinator.adapters.bitcoin import CoreNode, EsploraNode
from coordinator.adapters.bitcoin.rpc import CoreRpc
from coordinator.ports.bitcoin import Network
from coordinator_core.secret import Secret

VECTORS = Path(__file__).parents[3] / "vectors" / "bitcoind" / "exchanges.jsonl"


def answered(
    method: str, result: Any = None, *, error: Any = None, first: Any = None, status: int = 200
) -> dict[str, Any]:
    """An RPC answer by hand, for any parameters or for a first one."""
    body = {"jsonrpc": "2.0", "id": 1, **({"error": error} if error else {"result": result})}
    return {"request": {"method": method, "params": [] if first is None else [first]}, "status": status, "body": body}


class RpcTape:
    """Answers in order of their method and first parameter; the last one stays. What nobody recorded fails the test."""

    def __init__(self, exchanges: list[dict[str, Any]]) -> None:
        self._exchanges = exchanges
        self.calls: list[str] = []

    def handle(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        self.calls.append(asked["method"])
        fitting = [e for e in self._exchanges if _same_call(e["request"], asked)]
        assert fitting, f"nobody recorded {asked}"
        exchange = fitting[0]
        if len(fitting) > 1:
            self._exchanges.remove(exchange)
        body = exchange["body"]
        return httpx.Response(exchange["status"], content=body if isinstance(body, str) else json.dumps(body))


def _same_call(recorded: dict[str, Any], asked: dict[str, Any]) -> bool:
    params = recorded.get("params", [])
    return recorded["method"] == asked["method"] and params[:1] in ([], asked["params"][:1])


@pytest.fixture(scope="session")
def recorded() -> dict[str, dict[str, Any]]:
    """Every recorded exchange by name."""
    return {exchange["name"]: exchange for exchange in map(json.loads, VECTORS.read_text().splitlines())}


@pytest.fixture
def by_hand() -> Callable[..., dict[str, Any]]:
    return answered


@pytest.fixture
async def play(recorded: dict[str, dict[str, Any]]) -> AsyncIterator[Callable[..., CoreNode]]:
    """A node that answers from names of recordings and answers by hand."""
    nodes: list[CoreNode] = []

    def build(*exchanges: str | dict[str, Any], **options: Any) -> CoreNode:
        tape = RpcTape([recorded[e] if isinstance(e, str) else e for e in exchanges])
        transport = httpx.MockTransport(tape.handle)
        rpc = CoreRpc("http://127.0.0.1:1", user="u", password=Secret(b"p"), transport=transport)
        nodes.append(CoreNode(rpc, **{"network": Network.REGTEST, **options}))
        return nodes[-1]

    yield build
    for node in nodes:
        await node.close()


@pytest.fixture
async def explore() -> AsyncIterator[Callable[..., EsploraNode]]:
    """An Esplora that answers by path: (status, text or JSON)."""
    nodes: list[EsploraNode] = []

    def build(answers: dict[str, tuple[int, Any]]) -> EsploraNode:
        def handle(request: httpx.Request) -> httpx.Response:
            status, body = answers[request.url.path]
            content = body if isinstance(body, bytes | str) else json.dumps(body)
            return httpx.Response(status, content=content)

        nodes.append(EsploraNode("http://127.0.0.1:1", network=Network.REGTEST, transport=httpx.MockTransport(handle)))
        return nodes[-1]

    yield build
    for node in nodes:
        await node.close()


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=2):
        yield
