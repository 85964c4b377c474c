"""Follows the chain of a Bitcoin node: its tip is the height of every embedded Lightning node."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import httpx

from coordinator.embedded.lightning.network import Network
from coordinator_core.errors import Fault, InvalidInput, VerificationFailed

_TIMEOUT: Final = httpx.Timeout(5.0)


class ChainAway(VerificationFailed):
    """The Bitcoin node did not answer, or not sensibly."""

    code = "embedded.lightning.chain_away"

    def __init__(self, reason: str) -> None:
        super().__init__("bitcoin node", reason, fault=Fault.NODE)


class ChainFollower:
    """Asks for the tip, cheaply: one call, and work only when it moved."""

    def __init__(self, url: str, cookie_file: Path, network: Network) -> None:
        self._url = url
        self._cookie_file = cookie_file
        self._network = network
        self._client = httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False)

    async def follow(self) -> None:
        """Take over the present tip. Raises ChainAway, InvalidInput for any chain but regtest."""
        info = await self._blockchain_info()
        if info["chain"] != "regtest":
            raise InvalidInput("chain", f"the Bitcoin node is on {info['chain']}", "give a regtest node")
        tip = self._network.tip()
        if (tip.height, tip.block_hash) != (info["blocks"], info["bestblockhash"]):
            self._network.set_tip(info["blocks"], info["bestblockhash"], info["time"])

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _blockchain_info(self) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": "lightning", "method": "getblockchaininfo", "params": []}
        try:
            user, _, password = self._cookie_file.read_text().strip().partition(":")
            answer = await self._client.post(self._url, json=request, auth=(user, password))
            result = answer.json()["result"]
            if not {"chain", "blocks", "bestblockhash", "time"} <= result.keys():
                raise ChainAway("answers without a tip")
        except (httpx.HTTPError, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ChainAway(f"{type(error).__name__}: {error}") from error
        return result
