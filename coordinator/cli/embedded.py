"""The embedded services as one stack, and a coordinator configured for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from coordinator.cli.stack import Child, free_port, start

SECONDS = 30.0
SETTINGS = """\
network = "regtest"
data_dir = "{data}"
domain_clock = "chain"

[bitcoin]
rpc_url = "{rpc}"
cookie_file = "{cookie}"
esplora_url = "{esplora}"
poll_seconds = 0.2

[lightning]
url = "{lightning}"
macaroon_file = "{macaroon}"

[keymeld]
url = "{keymeld}"

[oracle]
url = "{oracle}"

[web]
port = {port}
"""


@dataclass(slots=True)
class Stack:
    """Node, Lightning, keymeld, oracle and a coordinator under one directory."""

    directory: Path
    children: dict[str, Child] = field(default_factory=dict[str, Child])
    port: int = 0

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything that is still running, the coordinator first."""
        for name in reversed(list(self.children)):
            self.children[name].stop()

    def launch(self, name: str, arguments: Sequence[str], environment: dict[str, str] | None = None) -> Child:
        """Start one service of the stack."""
        log = self.directory / "logs" / f"{name}.log"
        self.children[name] = start(name, arguments, log, environment)
        return self.children[name]

    def start_services(self, *, seed: str = "demo") -> None:
        """Node first, the others follow its height and time."""
        node = self._embedded("node", "--block-interval-seconds", "60", "--seed", seed)
        follow = ("--bitcoin-rpc", node.ready["url"], "--bitcoin-cookie", node.ready["rpc_cookie_file"])
        self._embedded("lightning", *follow)
        self._embedded("keymeld", "--enclaves", "2")
        clock = ("--clock-rpc", node.ready["url"], "--clock-rpc-cookie", node.ready["rpc_cookie_file"])
        self._embedded("oracle", "--seed", seed, "--tick-seconds", "0.5", *clock)

    def _embedded(self, name: str, *arguments: str) -> Child:
        data = str(self.directory / name)
        return self.launch(name, [f"coordinator.embedded.{name}", "--data-dir", data, "--exit-with-parent", *arguments])

    def start_coordinator(self) -> Child:
        """A coordinator against the stack; the same directory and port again after a kill."""
        self.port = self.port or free_port()
        settings = self.directory / "coordinator.toml"
        settings.write_text(
            SETTINGS.format(
                data=self.directory / "coordinator",
                rpc=self.url("node"),
                cookie=self.children["node"].ready["rpc_cookie_file"],
                esplora=self.children["node"].ready["esplora"],
                lightning=self.url("lightning"),
                macaroon=self.children["lightning"].ready["macaroon_file"],
                keymeld=self.url("keymeld"),
                oracle=self.url("oracle"),
                port=self.port,
            )
        )
        child = self.launch(
            "coordinator",
            ["coordinator.cli.main", "run", "--settings", str(settings), "--ready-line"],
            {"COORDINATOR_PASSPHRASE": os.environ.get("COORDINATOR_PASSPHRASE", "regtest only")},
        )
        self._introduce_to_oracle()
        return child

    def _introduce_to_oracle(self) -> None:
        """Put the coordinator's key on the oracle's list, as its operator would."""
        headers = {"Authorization": f"Bearer {self.operator_token}"}
        with httpx.Client(timeout=SECONDS, trust_env=False) as client:
            known = client.get(f"{self.url('coordinator')}/api/v1/operator/identity", headers=headers)
            body = {"role": "coordinator", "pubkey": known.raise_for_status().json()["nostr_public_key"]}
            client.post(f"{self.control('oracle')}/control/allow", json=body).raise_for_status()

    def url(self, name: str) -> str:
        """Address of a service."""
        return str(self.children[name].ready["url"])

    def control(self, name: str) -> str:
        """Address of a service's control server."""
        return str(self.children[name].ready["control"]).removesuffix("/control")

    @property
    def operator_token(self) -> str:
        """The coordinator's bearer token for operators."""
        return (self.directory / "coordinator" / "operator.token").read_text().strip()
