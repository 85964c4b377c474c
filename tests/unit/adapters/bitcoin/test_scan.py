"""Core scans its UTXO set for one caller at a time."""

import asyncio
import json

import httpx

from coordinator.adapters.bitcoin import CoreNode
from coordinator.adapters.bitcoin.rpc import CoreRpc
from coordinator.ports.bitcoin import Network
from coordinator_core.secret import Secret


async def test_scans_do_not_overlap() -> None:
    running, entered, most = 0, 0, 0
    first, all_asked = asyncio.Event(), asyncio.Event()

    async def handle(request: httpx.Request) -> httpx.Response:
        nonlocal running, entered, most
        assert json.loads(request.content)["method"] == "scantxoutset"
        running, entered = running + 1, entered + 1
        most = max(most, running)
        first.set()
        await all_asked.wait()
        running -= 1
        return httpx.Response(200, json={"result": {"success": True, "height": 5, "unspents": []}, "error": None})

    node = CoreNode(
        CoreRpc("http://h", user="u", password=Secret(b"p"), transport=httpx.MockTransport(handle)),
        network=Network.REGTEST,
    )
    scans = [asyncio.create_task(node.coins_of([b"\x51"])) for _ in range(4)]
    async with asyncio.timeout(10):
        await first.wait()
        # The others have been asking since the first one was let in.
        all_asked.set()
        assert await asyncio.gather(*scans) == [(), (), (), ()]
    assert (entered, most) == (4, 1)
    await node.close()
