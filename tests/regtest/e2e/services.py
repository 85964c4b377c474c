"""Real bitcoind and LND beside an embedded keymeld, with the same hands as the services of tests/e2e."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from coordinator.cli.demo.world import WorldError
from coordinator.cli.embedded import Stack
from coordinator.player.play import Player
from coordinator.player.wallet import LightningWallet
from coordinator_core.transaction import OutPoint
from tests.e2e.books import Sheet
from tests.e2e.services import Services
from tests.regtest.e2e.lightning_books import ticket_and_prize, whole_network
from tests.regtest.e2e.spenders import Spenders
from tests.regtest.e2e.wallet_scan import scan_wallet
from tools.regtest import Rig, RpcRefused
from tools.regtest.bitcoind import PASSWORD, USER
from tools.regtest.lnd import Lnd

P = ParamSpec("P")
T = TypeVar("T")

COORDINATOR: Final = "coordinator"
PLAYERS: Final = ("alice", "bob")
"""Nodes that players pay from and are paid at; several players share one."""
SAT_PER_VBYTE: Final = 2


class RealServices(Services):
    """What scenarios do to bitcoind and LND. Every call of the rig blocks, so it runs in a thread."""

    def __init__(self, stack: Stack, rig: Rig) -> None:
        super().__init__(stack)
        self.rig = rig
        self.taught_at = -1_000
        """Height at which bitcoind was last taught a fee estimate."""
        self._spenders = Spenders(rig.chain)
        self._at: dict[str, Lnd] = {}

    async def blocking(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run something of the rig's in a thread."""
        return await asyncio.to_thread(work, *arguments, **options)

    async def rpc(self, method: str, *params: object) -> Any:
        """One RPC of bitcoind. Raises WorldError."""
        try:
            return await self.blocking(self.rig.chain.call, method, *params)
        except RpcRefused as refused:
            raise WorldError(method, refused.message) from refused

    async def mine(self, blocks: int = 1) -> None:
        """Mine, and wait until LND has seen it."""
        await self.blocking(self.rig.mine, blocks)

    async def pass_until(self, moment: int) -> None:
        """Let the chain's time reach a moment, in one block."""
        await self.blocking(self.rig.pass_until, moment)

    async def now(self) -> int:
        """Time of the chain's tip."""
        return int((await self.rpc("getblockheader", await self.rpc("getbestblockhash")))["time"])

    async def faucet(self, address: str, sats: int) -> None:
        """Send coins and confirm them."""
        await self.blocking(self.rig.pay, (address, sats))

    async def spender(self, outpoint: OutPoint) -> str | None:
        """The txid that spends an output, in chain or mempool."""
        return await self.blocking(self._spenders.of, outpoint)

    async def new_wallet(self, alias: str) -> tuple[LightningWallet, dict[str, int]]:
        """A wallet at one of the players' nodes in turn; their channels are open already."""
        node = self.rig[PLAYERS[len(self._at) % len(PLAYERS)]]
        self._at[alias] = node
        return LightningWallet(node.url, node.admin_macaroon.read_bytes().hex(), node.certificate), {}

    def node_of(self, player: Player) -> Lnd:
        """Where a player's wallet is."""
        return self._at[self.alias(player)]

    async def gained(self, player: Player, before: Sheet) -> int:
        """See Services. Out of the records of the player's node: its balance is that of several players."""
        return sum(await self.blocking(ticket_and_prize, self.node_of(player), player))

    async def ledger(self) -> dict[str, Any]:
        """Every millisatoshi of the network, as the nodes' own channel balances have it."""
        return await self.blocking(whole_network, list(self.rig.nodes.values()))

    async def wallet_total(self) -> int:
        """Coins of the coordinator's seed, found by bitcoind in its own set of unspent outputs."""
        return await self.blocking(scan_wallet, self.rig.chain, self._seed_file)

    @cached_property
    def _seed_file(self) -> Path:
        return self.stack.directory / "coordinator" / "seed"

    async def lightning_away(self, away: bool) -> None:
        """End the coordinator's Lightning node, or bring it back."""
        node = self.rig[COORDINATOR]
        await (self.blocking(self.rig.rejoin, node) if not away else self.blocking(node.stop))


def start_stack(rig: Rig, directory: Path) -> Stack:
    """keymeld under a directory, and where bitcoind and LND are; the oracle is the test's own. Blocks until ready."""
    directory.mkdir(parents=True)
    stack = Stack(directory, elsewhere={"node": _node(rig, directory), "lightning": _lightning(rig, directory)})
    try:
        stack.start_services(seed="regtest", oracle=False, names=("keymeld",))
    except BaseException:
        stack.stop()
        raise
    return stack


def _node(rig: Rig, directory: Path) -> dict[str, Any]:
    cookie = directory / "rpc.cookie"
    cookie.write_text(f"{USER}:{PASSWORD}")
    cookie.chmod(0o600)
    return {"url": rig.chain.url, "rpc_cookie_file": str(cookie)}


def _lightning(rig: Rig, directory: Path) -> dict[str, Any]:
    """The macaroon is baked by `bake_macaroon`: the coordinator never holds the node's admin macaroon."""
    node = rig[COORDINATOR]
    macaroon = directory / "coordinator.macaroon"
    return {"url": node.url, "macaroon_file": str(macaroon), "certificate_file": str(node.certificate)}
