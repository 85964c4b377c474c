"""The whole network: started, funded, connected, payable from everyone to everyone; moved in time; stopped in order."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.daemons.locate import Daemons
from tools.regtest.bitcoind import Bitcoind
from tools.regtest.daemon import START_SECONDS, until
from tools.regtest.faucet import COIN, Faucet
from tools.regtest.lnd import Lnd, LndRefused
from tools.regtest.ports import connections
from tools.regtest.warden import Warden

SETUP_BLOCKS = 120
"""A coinbase matures in 100: twenty of 50 BTC are there to be spent."""
ANNOUNCE_BLOCKS = 6
"""A channel works after one block, but nodes gossip it only after six."""
CAPACITY = 5_000_000
LEAST_BALANCE = 20_000
"""What a side of a new channel must hold, in satoshi, to count as able to pay: above reserve and commitment fee."""
FILLERS, FILLER_SIZE = 80, 90_000
DAY = 86_400
TEACHING_BLOCKS, TEACHING_TRANSACTIONS = 6, 10
RECONNECT_SECONDS = 1.0
OPEN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel to open, in satoshi: `pushed` of its `capacity` starts on the peer's side."""

    opener: str
    peer: str
    capacity: int = CAPACITY
    pushed: int = CAPACITY // 2


DEFAULT_CHANNELS = (
    Channel("coordinator", "router"),
    Channel("alice", "router"),
    Channel("bob", "router"),
)
"""Every payment between players and coordinator takes two hops."""


class Rig:
    """`with Rig(daemons, folder) as rig:`. `rig["alice"]` is a node, `rig.chain` bitcoind, `rig.faucet` its coins."""

    def __init__(self, daemons: Daemons, folder: Path, channels: Sequence[Channel] = DEFAULT_CHANNELS) -> None:
        self.folder = folder
        self.nodes: dict[str, Lnd] = {}
        self._programs = daemons
        self._channels = list(channels)
        self._warden = Warden()
        self.chain = Bitcoind(daemons.bitcoind, folder / "bitcoind", self._warden)
        self.faucet = Faucet(self.chain)

    def __getitem__(self, name: str) -> Lnd:
        return self.nodes[name]

    def __enter__(self) -> Self:
        try:
            self.chain.start()
            # Without blocks younger than two hours LND does not call itself in step with the chain.
            self.faucet.mine(SETUP_BLOCKS)
            self._add({name: None for one in self._channels for name in (one.opener, one.peer)})
            self.open_channels(*self._channels)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop LND, then bitcoind. Data and logs stay in the folder."""
        self._each(Lnd.stop, list(self.nodes.values()))
        self.chain.stop()
        self._warden.close()

    def detach(self) -> dict[str, int]:
        """Let every daemon outlive this process; their pids by name. `close` then ends nothing."""
        return {daemon.name: daemon.detach() for daemon in (self.chain, *self.running())}

    def running(self) -> list[Lnd]:
        """The nodes of the network whose process is there."""
        return [node for node in self.nodes.values() if node.is_running]

    def node(self, name: str, *options: str) -> Lnd:
        """A node that is neither started nor part of the network: for tests of starting."""
        return Lnd(self._programs.lnd, name, self.folder / name, self.chain, self._warden, options)

    def add_node(self, name: str, *channels: Channel) -> Lnd:
        """A further node with coins of its own and with these channels, payable when this returns."""
        self._add([name])
        if channels:
            self._channels += channels
            self.open_channels(*channels)
        return self.nodes[name]

    def remove_node(self, name: str) -> None:
        """Stop a node for good. Its channels stay open at its peers, inactive."""
        self.nodes.pop(name).stop()
        self._channels = [one for one in self._channels if name not in (one.opener, one.peer)]

    def _add(self, names: Iterable[str]) -> None:
        made = {name: self.node(name) for name in names}
        for node in made.values():
            node.launch()
        self._each(Lnd.wait_ready, list(made.values()))
        self.nodes |= made

    def mine(self, blocks: int = 1) -> int:
        """Mine; the new height, once every running node has reached it."""
        self.faucet.mine(blocks)
        return self.wait_synced()

    def wait_synced(self, seconds: float = START_SECONDS) -> int:
        """The chain's height, once every running node has reached it. Raises TimeoutError."""
        height = self.chain.height
        self._each(lambda one: until(lambda: one.is_ready(height), f"{one.name} at {height}", seconds), self.running())
        return height

    def restart_chain(self, *options: str, how: Callable[[Bitcoind], None] = Bitcoind.stop) -> int:
        """End bitcoind, by `how`, and start it with these options; the height once every running node follows it again.

        One block is mined, or more where it cannot be seen that LND's ZMQ sockets are connected again: LND hears
        of no block before.
        """
        how(self.chain)
        self.chain.options = list(options)
        self.chain.start()
        until(lambda: self._subscribers() >= len(self.running()), "LND's subscriptions to bitcoind")
        while True:
            self.faucet.mine(1)
            try:
                return self.wait_synced(RECONNECT_SECONDS)
            except TimeoutError:
                continue

    def _subscribers(self) -> int:
        counted = [connections(port) for port in (self.chain.zmq_block_port, self.chain.zmq_tx_port)]
        return min(len(self.nodes) if number is None else number for number in counted)

    def pass_until(self, moment: int) -> int:
        """Let the chain's time reach `moment` (Unix seconds) with one block; the new height.

        Invoice expiries and macaroons stay on the wall clock of LND.
        """
        self.chain.set_time(max(moment, self.chain.time))
        return self.mine()

    def pay(self, *outputs: tuple[str, int]) -> str:
        """Send satoshis from the faucet and mine the block that confirms them; the txid."""
        txid = self.faucet.pay(*outputs)
        self.mine()
        return txid

    def teach_fees(self, sat_per_vbyte: int) -> None:
        """Let the node estimate this rate: its estimator learns from transactions that paid it and confirmed.

        Mines TEACHING_BLOCKS. Core's buckets make the estimate about a twentieth lower or higher; it fades after some
        hundred empty blocks.
        """
        for _ in range(TEACHING_BLOCKS):
            self.faucet.send_on(TEACHING_TRANSACTIONS, sat_per_vbyte)
            self.mine()

    def raise_floor(self, sat_per_vbyte: int) -> int:
        """Fill the mempool until it turns away what pays less than this rate; its floor in sat/kvB.

        The floor that a full mempool has, not the node's configured one: Core takes a package whose parent is below
        the former, never one below the latter (other than version 3).
        """
        self.faucet.split(FILLERS, FILLER_SIZE * (sat_per_vbyte + 1))
        self.mine()
        for _ in range(FILLERS):
            self.faucet.fill(FILLER_SIZE, sat_per_vbyte)
            if self._floor() >= sat_per_vbyte * 1_000:
                return self._floor()
        raise ValueError(f"the mempool's floor is {self._floor()} sat/kvB after {FILLERS} transactions")

    def lower_floor(self) -> None:
        """Empty the mempool and let a day pass: the floor is the configured one again."""
        while self.chain.call("getmempoolinfo")["size"]:
            self.mine()
        self.chain.set_time(self.chain.time + DAY)
        # The floor falls when it is asked for, by the time since the last block: before the next one, or not at all.
        self._floor()
        self.mine()

    def _floor(self) -> int:
        return round(self.chain.call("getmempoolinfo")["mempoolminfee"] * COIN)

    def open_channels(self, *channels: Channel) -> None:
        """Fund the openers, connect, open, announce; returns when whoever has money can pay whoever has room."""
        purses = [(self[one.opener], one.capacity + COIN // 10) for one in channels]
        self.pay(*((node.get("/v1/newaddress", type=4)["address"], sats) for node, sats in purses))
        opened = [(one, self._open(one)) for one in channels]
        self.mine(ANNOUNCE_BLOCKS)
        # A way is known as soon as one channel is up: a payment in parts needs all.
        for one, point in opened:
            for name in (one.opener, one.peer):
                until(lambda: self[name].has_active(point), f"{name}'s channel {point}")  # noqa: B023  (called at once)
        # `active` is too early: gossip comes after it, and first payments fail.
        for payer, payee in self._ways({name for one in channels for name in (one.opener, one.peer)}):
            self.wait_payable(self[payer], self[payee])

    def _ways(self, ends: set[str]) -> list[tuple[str, str]]:
        """Pairs of payer and payee with money on the right side of a channel, of which one is in `ends`."""
        sides = [(one.opener, one.peer, one.capacity - one.pushed) for one in self._channels]
        sides += [(one.peer, one.opener, one.pushed) for one in self._channels]
        payers = {payer for payer, _, sats in sides if sats >= LEAST_BALANCE and self[payer].is_running}
        payees = {payee for _, payee, sats in sides if sats >= LEAST_BALANCE and self[payee].is_running}
        ways = [(payer, payee) for payer in payers for payee in payees if payer != payee]
        return [way for way in ways if ends & set(way)]

    def wait_payable(self, payer: Lnd, payee: Lnd) -> None:
        """Wait until one node knows a way to the other."""
        key = payee.pubkey
        until(lambda: payer.can_pay(key), f"{payer.name} has no way to {payee.name}")

    def invalidate(self, block_hash: str) -> None:
        """Take a block and all after it out of the chain. The clock stops a second later than the old tip.

        Mined again within the same second and from the same transactions, a block would be the one that was refused.
        """
        tip = self.chain.call("getblockheader", self.chain.call("getbestblockhash"))
        self.chain.call("invalidateblock", block_hash)
        self.chain.set_time(max(tip["time"], self.chain.time) + 1)

    def rejoin(self, node: Lnd) -> None:
        """Start a node that was stopped or killed; returns when it and its peers can pay each other again.

        Nobody remembers that payments through it failed meanwhile.
        """
        node.start()
        peers = [self[name] for name in self._peers(node.name) if self[name].is_running]
        for peer in peers:
            self.connect(node, peer)
        for other in self.running():
            other.post("/v2/router/mc/reset")
        for payer, payee in self._ways({node.name}):
            self.wait_payable(self[payer], self[payee])

    def _peers(self, name: str) -> set[str]:
        pairs = [(one.opener, one.peer) for one in self._channels]
        return {a if b == name else b for a, b in pairs if name in (a, b)}

    def connect(self, one: Lnd, peer: Lnd) -> None:
        """Connect two nodes now, instead of when LND tries again."""
        try:
            address = {"pubkey": peer.pubkey, "host": f"127.0.0.1:{peer.peer_port}"}
            one.post("/v1/peers", {"addr": address})
        except LndRefused as error:
            if "already connected" not in str(error):
                raise

    def _open(self, channel: Channel) -> str:
        """The channel's outpoint, as LND names it."""
        opener, peer = self[channel.opener], self[channel.peer]
        self.connect(opener, peer)
        order = {
            "node_pubkey_string": peer.pubkey,
            "local_funding_amount": str(channel.capacity),
            "push_sat": str(channel.pushed),
        }
        refusals: list[str] = []

        def opened() -> str:
            try:
                return outpoint(opener.post("/v1/channels", order))
            except LndRefused as error:
                refusals.append(str(error))
                return ""

        try:
            # For a moment after a start or a block a node calls itself "in the middle of syncing".
            return until(opened, "open", OPEN_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"no channel from {opener.name} to {peer.name}: {refusals[-1]}") from error

    @staticmethod
    def _each(do: Callable[[Lnd], Any], nodes: Sequence[Lnd]) -> None:
        with ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(do, nodes))


def outpoint(made: Mapping[str, Any]) -> str:
    """A channel's outpoint from LND's answer to its opening: `txid:index`, the txid as it is displayed."""
    return f"{base64.b64decode(made['funding_txid_bytes'])[::-1].hex()}:{made['output_index']}"
