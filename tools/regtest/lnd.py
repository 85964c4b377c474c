"""One LND node on a bitcoind, spoken to over REST with its own certificate pinned."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tools.regtest.bitcoind import HOST, PASSWORD, USER, Bitcoind
from tools.regtest.daemon import Daemon
from tools.regtest.ports import free_port
from tools.regtest.warden import Warden


class LndRefused(Exception):
    """The node refused a call."""

    def __init__(self, node: str, status: int, text: str) -> None:
        super().__init__(f"{node}: {status} {text}")
        self.status = status


class Lnd(Daemon):
    """A node at `url`. `options` are more command-line options and may change between starts."""

    def __init__(
        self, program: Path, name: str, folder: Path, chain: Bitcoind, warden: Warden, options: Sequence[str] = ()
    ) -> None:
        super().__init__(name, folder, warden)
        self.options = ["--noseedbackup", *options]
        """Without `--noseedbackup` a node waits for its wallet: made by /v1/initwallet, then locked at each start."""
        self.rest_port, self.rpc_port, self.peer_port = free_port(), free_port(), free_port()
        self.url = f"https://{HOST}:{self.rest_port}"
        self.certificate = folder / "tls.cert"
        self.admin_macaroon = folder / "data/chain/bitcoin/regtest/admin.macaroon"
        self._program = program
        self._chain = chain

    def command(self) -> list[str]:
        """See Daemon."""
        return [
            str(self._program),
            f"--lnddir={self.folder}",
            f"--alias={self.name}",
            "--bitcoin.regtest",
            "--bitcoin.node=bitcoind",
            f"--bitcoind.rpchost={HOST}:{self._chain.rpc_port}",
            f"--bitcoind.rpcuser={USER}",
            f"--bitcoind.rpcpass={PASSWORD}",
            f"--bitcoind.zmqpubrawblock=tcp://{HOST}:{self._chain.zmq_block_port}",
            f"--bitcoind.zmqpubrawtx=tcp://{HOST}:{self._chain.zmq_tx_port}",
            "--bitcoin.defaultchanconfs=1",
            f"--restlisten={HOST}:{self.rest_port}",
            f"--rpclisten={HOST}:{self.rpc_port}",
            f"--listen={HOST}:{self.peer_port}",
            "--nobootstrap",
            "--trickledelay=50",
            # Its default keeps every piece of gossip for half a second.
            "--db.batch-commit-interval=10ms",
            "--maxpendingchannels=8",
            "--logging.file.disable",
            *self.options,
        ]

    @property
    def pubkey(self) -> str:
        """The node's identity in hex."""
        return str(self.get("/v1/getinfo")["identity_pubkey"])

    def get(self, path: str, **query: Any) -> Any:
        """GET with the admin macaroon. Raises LndRefused."""
        return self._answer(self._client.get(path, params=query))

    def post(self, path: str, body: Any = None) -> Any:
        """POST with the admin macaroon. Raises LndRefused."""
        return self._answer(self._client.post(path, json=body if body is not None else {}))

    def _answer(self, reply: httpx.Response) -> Any:
        if reply.status_code != 200:
            raise LndRefused(self.name, reply.status_code, reply.text)
        return reply.json()

    def is_ready(self, height: int = 0) -> bool:
        """See Daemon: in step with the chain, at least at `height`."""
        reply = self._client.get("/v1/getinfo")
        if reply.status_code != 200:
            return False
        info = reply.json()
        return bool(info["synced_to_chain"] and info["block_height"] >= height)

    def can_pay(self, peer: str, sats: int = 1_000) -> bool:
        """Whether it knows a route to a public key with room for `sats`."""
        return self._client.get(f"/v1/graph/routes/{peer}/{sats}").status_code == 200

    def has_active(self, point: str) -> bool:
        """Whether its channel at this outpoint is up."""
        active = self.get("/v1/channels", active_only="true")["channels"]
        return any(one["channel_point"] == point for one in active)

    def tls(self) -> ssl.SSLContext:
        """Trusts this node's certificate alone. Raises OSError before LND wrote it."""
        return ssl.create_default_context(cafile=str(self.certificate))

    @cached_property
    def _client(self) -> httpx.Client:
        context, macaroon = self.tls(), self.admin_macaroon.read_bytes()
        if not macaroon:
            raise FileNotFoundError("the macaroon is being written")
        headers = {"Grpc-Metadata-macaroon": macaroon.hex()}
        return httpx.Client(base_url=self.url, verify=context, headers=headers, timeout=60, trust_env=False)

    def _disconnect(self) -> None:
        if (client := vars(self).pop("_client", None)) is not None:
            client.close()
