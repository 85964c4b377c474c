"""A broken answer among many: what only reads is asked again, what sends is not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import httpx
import msgspec
import pytest

from coordinator.adapters.bitcoin.rpc import CoreRpc, RpcError
from coordinator.ports.faults import Unreachable
from coordinator_core.secret import Secret

BROKEN = [
    httpx.Response(500, content=b"broke"),
    httpx.Response(200, content=b'{"result": '),
    httpx.Response(503),
    httpx.RemoteProtocolError("cut"),
]
Asked = list[str]


@pytest.fixture
async def node() -> AsyncIterator[Callable[[httpx.Response | Exception], tuple[CoreRpc, Asked]]]:
    """A node whose first answer is broken; what it was asked."""
    made: list[CoreRpc] = []

    def build(first: httpx.Response | Exception) -> tuple[CoreRpc, Asked]:
        asked: Asked = []

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(msgspec.json.decode(request.content)["method"])
            if len(asked) > 1:
                return httpx.Response(200, json={"result": 7, "error": None})
            if isinstance(first, Exception):
                raise first
            return first

        made.append(
            CoreRpc("http://127.0.0.1:1", user="u", password=Secret(b"p"), transport=httpx.MockTransport(handle))
        )
        return made[-1], asked

    yield build
    for rpc in made:
        await rpc.close()


@pytest.mark.parametrize("first", BROKEN, ids=["500", "cut JSON", "503", "cut connection"])
async def test_a_read_is_asked_again(node, first: httpx.Response | Exception) -> None:
    rpc, asked = node(first)
    assert await rpc.call("getblockcount", kind=int) == 7
    assert asked == ["getblockcount"] * 2


@pytest.mark.parametrize("method", ["sendrawtransaction", "submitpackage"])
async def test_a_transaction_is_sent_once(node, method: str) -> None:
    rpc, asked = node(httpx.RemoteProtocolError("cut"))
    with pytest.raises(Unreachable):
        await rpc.call(method, "00", kind=int)
    assert asked == [method]


async def test_the_nodes_own_refusal_is_final(node) -> None:
    rpc, asked = node(httpx.Response(500, json={"result": None, "error": {"code": -8, "message": "no"}}))
    with pytest.raises(RpcError):
        await rpc.call("getblockhash", 9, kind=str)
    assert asked == ["getblockhash"]
