"""bitcoind on regtest: without peers or wallet, with txindex, ZMQ for LND, and a clock that tests move."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from tools.regtest.daemon import Daemon
from tools.regtest.ports import free_port
from tools.regtest.warden import Warden

HOST = "127.0.0.1"
USER = PASSWORD = "rig"  # noqa: S105  (a node on loopback whose coins are worth nothing)


class RpcRefused(Exception):
    """The node refused a call."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code
        self.message = message


class Bitcoind(Daemon):
    """A node at `url`. `options` are more command-line options and may change between starts."""

    def __init__(self, program: Path, folder: Path, warden: Warden, options: Sequence[str] = ()) -> None:
        super().__init__("bitcoind", folder, warden)
        self.options = list(options)
        self.rpc_port, self.zmq_block_port, self.zmq_tx_port = free_port(), free_port(), free_port()
        self.url = f"http://{HOST}:{self.rpc_port}"
        self._program = program
        self._mock_time: int | None = None

    def command(self) -> list[str]:
        """See Daemon. A restart keeps the mocked time: Core refuses a chain that lies in its future."""
        mocked = [] if self._mock_time is None else [f"-mocktime={self._mock_time}"]
        return [
            str(self._program),
            "-regtest",
            f"-datadir={self.folder}",
            "-server",
            "-listen=0",
            "-dnsseed=0",
            "-txindex",
            # The least that Core allows: so a test can fill it.
            "-maxmempool=5",
            "-nodebuglogfile",
            "-printtoconsole",
            # An estimate survives a restart on regtest only with this.
            "-acceptstalefeeestimates",
            f"-rpcbind={HOST}:{self.rpc_port}",
            f"-rpcallowip={HOST}",
            f"-rpcuser={USER}",
            f"-rpcpassword={PASSWORD}",
            f"-zmqpubrawblock=tcp://{HOST}:{self.zmq_block_port}",
            f"-zmqpubrawtx=tcp://{HOST}:{self.zmq_tx_port}",
            *mocked,
            *self.options,
        ]

    def is_ready(self) -> bool:
        """See Daemon."""
        answer = self._client.post("/", json={"jsonrpc": "2.0", "id": 1, "method": "getblockcount"})
        return answer.status_code == 200 and "result" in answer.json()

    def kill(self) -> None:
        """See Daemon. The mempool is lost; blocks are not, although a killed node forgets those of the last hour: on
        a network its peers would give them back, so they are flushed first.
        """
        if self.is_running:
            self.call("gettxoutsetinfo")
        super().kill()

    def call(self, method: str, *params: Any) -> Any:
        """One JSON-RPC call. Raises RpcRefused."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        reply = self._client.post("/", json=body).json()
        if error := reply.get("error"):
            raise RpcRefused(method, error["code"], error["message"])
        return reply["result"]

    @property
    def height(self) -> int:
        """Height of the tip."""
        return int(self.call("getblockcount"))

    @property
    def time(self) -> int:
        """The node's clock in Unix seconds: mocked, or the wall's."""
        return int(time.time()) if self._mock_time is None else self._mock_time

    def set_time(self, moment: int) -> None:
        """Stop the node's clock at `moment`, in Unix seconds; the next block carries it. Only forwards."""
        if moment < self.time:
            raise ValueError(f"time goes forwards only: {moment} is before {self.time}")
        self.call("setmocktime", moment)
        self._mock_time = moment

    @cached_property
    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, auth=(USER, PASSWORD), timeout=120, trust_env=False)

    def _disconnect(self) -> None:
        if (client := vars(self).pop("_client", None)) is not None:
            client.close()
