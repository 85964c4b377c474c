"""The embedded services and a coordinator as child processes, with the controls that scenarios need."""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from coordinator.cli.demo.world import SECONDS, World
from coordinator.cli.embedded import Stack
from coordinator.player.play import Player
from coordinator.player.wallet import LightningWallet
from tests.e2e.books import Sheet, lightning_account

DAYS_TO_SPEND = 400
DAY = 86_400


def start_stack(directory: Path) -> Stack:
    """Node, Lightning and keymeld under a directory; the oracle is the test's own. Blocks until they are ready."""
    directory.mkdir()
    stack = Stack(directory)
    try:
        stack.start_services(seed="e2e", oracle=False, genesis_time=int(time.time()) - DAYS_TO_SPEND * DAY)
    except BaseException:
        stack.stop()
        raise
    return stack


@dataclass(frozen=True, slots=True)
class LightningNode:
    """Where a node is and what it lets its owner do."""

    url: str
    macaroon: str


class Services(World):
    """Everything a scenario may do to a service beside the coordinator."""

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack)
        self._client = httpx.AsyncClient(timeout=SECONDS, trust_env=False)

    async def close(self) -> None:
        """Close all connections."""
        await super().close()
        await self._client.aclose()

    async def esplora(self, path: str) -> Any:
        """A read of the node's Esplora server."""
        answer = await self._client.get(f"{self.stack.children['node'].ready['esplora']}{path}")
        return answer.raise_for_status().json()

    async def new_wallet(self, alias: str) -> tuple[LightningWallet, dict[str, int]]:
        """A funded wallet, and what each end of its new channel starts with, in millisatoshi by alias."""
        before = (await self.ledger())["nodes_msat"]
        wallet = await self.wallet(alias)
        after = (await self.ledger())["nodes_msat"]
        return wallet, {name: after[name] - before.get(name, 0) for name in (alias, "router")}

    @staticmethod
    def alias(player: Player) -> str:
        """The name of a player's wallet: players are counted by their keys."""
        return f"player-{int.from_bytes(player.keys.seed.reveal(), 'big')}"

    async def gained(self, player: Player, before: Sheet) -> int:
        """What a player has gained (or lost) over Lightning since `before`, in millisatoshi."""
        alias = self.alias(player)
        return int((await self.ledger())["nodes_msat"][alias]) - before.accounts[lightning_account(alias)]

    async def wallet_total(self) -> int:
        """What the coordinator's wallet holds on chain, in satoshi."""
        return int((await self.operator("GET", "/wallet"))["onchain_total"])

    async def keymeld_fault(self, **order: object) -> None:
        """A fault switch of the gateway: kind, operation, session_id, times."""
        answer = await self._client.post(f"{self.stack.control('keymeld')}/control/faults", json=order)
        answer.raise_for_status()

    async def clear_keymeld_faults(self) -> None:
        """Every switch off."""
        answer = await self._client.delete(f"{self.stack.control('keymeld')}/control/faults")
        answer.raise_for_status()

    async def gateway_json(self, path: str, headers: dict[str, str] | None = None) -> Any:
        """A read of the keymeld gateway."""
        answer = await self._client.get(f"{self.stack.url('keymeld')}{path}", headers=headers)
        return answer.raise_for_status().json()

    async def hold_invoice(self, wallet: LightningNode, payment_hash: bytes, sats: int, description: bytes) -> str:
        """A hold invoice of any node on any hash; its payment request."""
        body = {
            "hash": base64.b64encode(payment_hash).decode(),
            "value": str(sats),
            "description_hash": base64.b64encode(description).decode(),
        }
        headers = {"Grpc-Metadata-macaroon": wallet.macaroon}
        answer = await self._client.post(f"{wallet.url}/v2/invoices/hodl", json=body, headers=headers)
        return str(answer.raise_for_status().json()["payment_request"])

    async def node(self, alias: str) -> LightningNode:
        """A Lightning node of anyone's, without a channel."""
        body = {"alias": alias, "capacity_sat": 0}
        answer = await self._client.post(f"{self.stack.control('lightning')}/control/nodes", json=body)
        made = answer.raise_for_status().json()
        return LightningNode(made["url"], made["macaroon_hex"])

    async def lightning_away(self, away: bool) -> None:
        """Let the coordinator's Lightning node look as while it starts up."""
        body = {"node": "coordinator", "state": "WAITING_TO_START" if away else None}
        answer = await self._client.post(f"{self.stack.control('lightning')}/control/state", json=body)
        answer.raise_for_status()
