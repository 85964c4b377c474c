"""The embedded services as one stack, and a coordinator configured for it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from coordinator.cli.stack import Child, free_port, start
from coordinator.cli.stack_settings import ChainSource, StackSettings

SECONDS = 30.0
SERVICES: Final = ("node", "lightning", "keymeld", "oracle", "relay")
"""Embedded services in the order they start: Lightning and oracle follow the node."""
NEEDED: Final = ("node", "lightning", "keymeld", "oracle")
"""Without these there is no coordinator."""
_PORT_OPTIONS: Final = {
    "node": (("--rpc-port", "node"), ("--esplora-port", "esplora")),
    "lightning": (("--port", "lightning"), ("--control-port", "lightning_control")),
}
_CLOCK: Final = ("--clock-rpc", "--clock-rpc-cookie")


@dataclass(slots=True)
class Stack:
    """Node, Lightning, keymeld, oracle and a coordinator under one directory."""

    directory: Path
    children: dict[str, Child] = field(default_factory=dict[str, Child])
    port: int = 0
    ports: dict[str, int] = field(default_factory=dict[str, int])
    """Ports to listen on; what is not named takes a free one. Running competitions name their oracle and keymeld."""
    source: ChainSource = "core"
    """Where the coordinator learns of the chain."""

    elsewhere: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    """Services that somebody else started and ends: what their ready line would have said."""
    starter: Callable[[str, Sequence[str], Path, dict[str, str] | None], Child] = start
    outlive: bool = False
    """True: the services go on when this process ends; `starter` has to remember them."""

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
        self.children[name] = self.starter(name, arguments, log, environment)
        return self.children[name]

    def start_services(
        self,
        *,
        seed: str = "demo",
        oracle: bool = True,
        genesis_time: int | None = None,
        names: Collection[str] = NEEDED,
    ) -> None:
        """Node first, the others follow its height and time. Without `oracle` there has to be one elsewhere."""
        wanted = [name for name in SERVICES if name in names and (oracle or name != "oracle")]
        own = {
            "node": ("--block-interval-seconds", "60", "--seed", seed),
            "keymeld": ("--enclaves", "2"),
            "oracle": ("--seed", seed, "--tick-seconds", "0.5"),
        }
        for name in wanted:
            start_of_chain = name == "node" and genesis_time is not None
            more = ("--genesis-time", str(genesis_time)) if start_of_chain else self._node_to_follow(name)
            self._embedded(name, *own.get(name, ()), *more, *self._port_options(name))

    def _node_to_follow(self, name: str) -> tuple[str, ...]:
        if name not in ("lightning", "oracle") or "node" not in self.ready():
            return ()
        node = self.ready()["node"]
        url, cookie = ("--bitcoin-rpc", "--bitcoin-cookie") if name == "lightning" else _CLOCK
        return (url, node["url"], cookie, node["rpc_cookie_file"])

    def _port_options(self, name: str) -> tuple[str, ...]:
        options = _PORT_OPTIONS.get(name, (("--port", name),))
        known = [(option, str(self.ports[port])) for option, port in options if port in self.ports]
        return tuple(word for pair in known for word in pair)

    def _embedded(self, name: str, *arguments: str) -> Child:
        data = str(self.directory / name)
        ending = () if self.outlive else ("--exit-with-parent",)
        return self.launch(name, [f"coordinator.embedded.{name}", "--data-dir", data, *ending, *arguments])

    def start_coordinator(self, *, oracle_url: str | None = None) -> Child:
        """A coordinator against the stack; the same directory and port again after a kill.

        `oracle_url` names an oracle outside of the stack, which has to know the coordinator's key by itself.
        """
        settings = self.write_settings(oracle_url or self.url("oracle"))
        child = self.launch(
            "coordinator",
            ["coordinator.cli.main", "run", "--settings", str(settings), "--ready-line", "--exit-with-parent"],
            {"COORDINATOR_PASSPHRASE": os.environ.get("COORDINATOR_PASSPHRASE", "regtest only")},
        )
        if oracle_url is None:
            self._introduce_to_oracle()
        return child

    def write_settings(self, oracle_url: str) -> Path:
        """A settings file for a coordinator on these services; it keeps its port for as long as the stack lives."""
        self.port = self.port or self.ports.get("coordinator") or free_port()
        path = self.directory / "coordinator.toml"
        path.write_text(self._settings(oracle_url).text())
        return path

    def _settings(self, oracle: str) -> StackSettings:
        ready = self.ready()
        node, lightning = ready["node"], ready["lightning"]
        return StackSettings(
            data=self.directory / "coordinator",
            rpc=node["url"],
            cookie=node["rpc_cookie_file"],
            esplora=node.get("esplora"),
            lightning=lightning["url"],
            macaroon=lightning["macaroon_file"],
            certificate=lightning.get("certificate_file"),
            keymeld=self.url("keymeld"),
            oracle=oracle,
            port=self.port,
            relay=ready["relay"]["url"] if "relay" in ready else None,
            source=self.source,
        )

    def identity(self) -> str:
        """The coordinator's public Nostr key, 32 bytes in hex."""
        headers = {"Authorization": f"Bearer {self.operator_token}"}
        with httpx.Client(timeout=SECONDS, trust_env=False) as client:
            known = client.get(f"{self.url('coordinator')}/api/v1/operator/identity", headers=headers)
            return str(known.raise_for_status().json()["nostr_public_key"])

    def _introduce_to_oracle(self) -> None:
        self.introduce_to_oracle(self.identity())

    def introduce_to_oracle(self, key: str) -> None:
        """Put a coordinator's public key (hex) on the oracle's list, as its operator would."""
        body = {"role": "coordinator", "pubkey": key}
        with httpx.Client(timeout=SECONDS, trust_env=False) as client:
            client.post(f"{self.control('oracle')}/control/allow", json=body).raise_for_status()

    def ready(self) -> dict[str, dict[str, Any]]:
        """What every service said when it was ready."""
        return {**self.elsewhere, **{name: child.ready for name, child in self.children.items()}}

    def url(self, name: str) -> str:
        """Address of a service."""
        return str(self.ready()[name]["url"])

    def control(self, name: str) -> str:
        """Address of a service's control server."""
        return str(self.children[name].ready["control"]).removesuffix("/control")

    @property
    def operator_token(self) -> str:
        """The coordinator's bearer token for operators."""
        return (self.directory / "coordinator" / "operator.token").read_text().strip()
