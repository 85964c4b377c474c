"""The height comes from a Bitcoin node; any chain but regtest is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from coordinator.embedded.lightning.chain import ChainAway, ChainFollower
from coordinator.embedded.lightning.network import Network
from coordinator_core.errors import InvalidInput

VECTORS = Path(__file__).parents[2] / "vectors" / "bitcoind" / "exchanges.jsonl"
RECORDED: dict[str, Any] = next(
    row["body"]
    for row in map(json.loads, VECTORS.read_text(encoding="utf-8").splitlines())
    if row["name"] == "getblockchaininfo"
)


class Follower:
    """A follower of a node that answers with `body`, and what it was asked."""

    def __init__(self, folder: Path, body: Any) -> None:
        cookie = folder / ".cookie"
        cookie.write_text("__cookie__:secret")
        self.network = Network(folder / "data")
        self.body = body
        self.asked: list[httpx.Request] = []
        self.follower = ChainFollower("http://127.0.0.1:1", cookie, self.network)
        self.follower._client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer))

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if isinstance(self.body, Exception):
            raise self.body
        return httpx.Response(200, json=self.body)


def chain_on(chain: str) -> dict[str, Any]:
    return RECORDED | {"result": RECORDED["result"] | {"chain": chain}}


async def test_takes_over_the_tip(tmp_path: Path) -> None:
    follower = Follower(tmp_path, RECORDED)
    await follower.follower.follow()
    tip, result = follower.network.tip(), RECORDED["result"]
    assert (tip.height, tip.block_hash, tip.header_time) == (130, result["bestblockhash"], result["time"])
    assert follower.asked[0].headers["authorization"] == httpx.BasicAuth("__cookie__", "secret")._auth_header
    assert json.loads(follower.asked[0].content)["method"] == "getblockchaininfo"


@pytest.mark.parametrize("chain", ["main", "test", "signet"])
async def test_refuses_other_chains(tmp_path: Path, chain: str) -> None:
    follower = Follower(tmp_path, chain_on(chain))
    with pytest.raises(InvalidInput, match=chain):
        await follower.follower.follow()
    assert follower.network.tip().height == 0


@pytest.mark.parametrize(
    "body", [{}, [], {"result": None}, {"result": {"chain": "regtest"}}, httpx.ConnectError("refused")]
)
async def test_a_node_that_does_not_answer_is_away(tmp_path: Path, body: Any) -> None:
    with pytest.raises(ChainAway):
        await Follower(tmp_path, body).follower.follow()


async def test_a_missing_cookie_is_away(tmp_path: Path) -> None:
    follower = Follower(tmp_path, RECORDED)
    (tmp_path / ".cookie").unlink()
    with pytest.raises(ChainAway):
        await follower.follower.follow()
