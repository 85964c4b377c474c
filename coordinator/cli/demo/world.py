"""The world of the demo: chain, time, wallets and the operator's calls, over the same interfaces that anyone has."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from coordinator.cli.embedded import Stack
from coordinator.player.wallet import LightningWallet
from coordinator_core.errors import CoreError, Fault

SECONDS = 30.0
TRIES = 10
"""How often the operator reads in all, while a service of the coordinator's is away."""
BLOCK_PAUSE_SECONDS = 1.0


class WorldError(CoreError):
    """A service of the demo refused what the demo asked for."""

    code = "demo.world"

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.fault = Fault.NODE


class World:
    """Controls of the stack. Time is the chain's: days pass by the node's mock time and a mined block."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._http = httpx.AsyncClient(timeout=SECONDS, trust_env=False)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _node_login(self) -> tuple[str, str]:
        user, _, password = Path(self.stack.children["node"].ready["rpc_cookie_file"]).read_text().partition(":")
        return user, password

    async def rpc(self, method: str, *params: object) -> Any:
        """One RPC of the node. Raises WorldError."""
        body = {"id": 1, "method": method, "params": params}
        answer = (await self._http.post(self.stack.url("node"), json=body, auth=self._node_login())).json()
        if answer.get("error"):
            raise WorldError(method, str(answer["error"]["message"]))
        return answer["result"]

    async def mine(self, blocks: int = 1) -> None:
        """Mine to the faucet's own key."""
        await self.rpc("mine", blocks)

    async def mine_slowly(self) -> None:
        """One block, then a moment for everyone to see it: while holds or payouts are open blocks never race ahead."""
        await self.mine()
        await asyncio.sleep(BLOCK_PAUSE_SECONDS)

    async def public(self, path: str) -> bytes:
        """A public read of the coordinator. Raises WorldError with the problem's words."""
        response = await self._http.get(f"{self.stack.url('coordinator')}/api/v1{path}")
        if not response.is_success:
            raise WorldError(path, response.text)
        return response.content

    async def now(self) -> int:
        """Time of the chain's tip."""
        return int((await self.rpc("getblockchaininfo"))["time"])

    async def pass_until(self, moment: int) -> None:
        """Let the chain's time, and with it its median time past, reach a moment."""
        await self.rpc("setmocktime", moment)
        await self.mine()

    async def faucet(self, address: str, sats: int) -> None:
        """Send coins and confirm them."""
        await self.rpc("faucet", address, sats)
        await self.mine()

    async def wallet(self, alias: str, *, capacity: int = 5_000_000) -> LightningWallet:
        """A player's Lightning node with a channel to the router."""
        node = await self._post(
            self.stack.control("lightning"), "/control/nodes", {"alias": alias, "capacity_sat": capacity}
        )
        return LightningWallet(node["url"], node["macaroon_hex"])

    async def ledger(self) -> dict[str, Any]:
        """Every satoshi of the Lightning network."""
        return (await self._http.get(f"{self.stack.control('lightning')}/control/ledger")).json()

    async def operator(self, method: str, path: str, body: object | None = None) -> Any:
        """A call of the operator's; a read is repeated while the coordinator says that it cannot know.

        Raises WorldError with the problem's words.
        """
        headers = {"Authorization": f"Bearer {self.stack.operator_token}"}
        url = f"{self.stack.url('coordinator')}/api/v1/operator{path}"
        response = await self._http.request(method, url, json=body, headers=headers)
        for _ in range(TRIES - 1):
            if method != "GET" or response.status_code != HTTPStatus.SERVICE_UNAVAILABLE:
                break
            await asyncio.sleep(float(response.headers["Retry-After"]))
            response = await self._http.request(method, url, headers=headers)
        if not response.is_success:
            raise WorldError(f"operator {path}", response.text)
        return response.json()

    async def competition(self, name: str) -> dict[str, Any]:
        """A competition as everyone sees it."""
        return (await self._http.get(f"{self.stack.url('coordinator')}/api/v1/competitions/{name}")).json()

    async def script_weather(self, script: dict[str, Any]) -> None:
        """Put observations into the oracle's data source."""
        await self._post(self.stack.control("oracle"), "/control/observations", script)

    async def oracle_fault(self, fault: str | None, count: int) -> None:
        """Let the oracle's next writes fail."""
        await self._post(self.stack.control("oracle"), "/control/faults", {"fault": fault, "count": count})

    async def _post(self, url: str, path: str, body: dict[str, Any]) -> Any:
        response = await self._http.post(f"{url}{path}", json=body)
        if not response.is_success:
            raise WorldError(path, response.text)
        return response.json()
