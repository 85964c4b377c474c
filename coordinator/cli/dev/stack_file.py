"""What a running `coordinator dev` says about itself to other commands: addresses and paths, no secret."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from coordinator.cli import files
from coordinator.cli.stack import Child
from coordinator_core.competition.documents import decode_strict
from coordinator_core.errors import InvalidInput

FILE: Final = "stack.json"
DEFAULT_DIRECTORY: Final = Path(".dev")
_PORTS: Final = {"node": {"url": "node", "esplora": "esplora"}, "lightning": {"control": "lightning_control"}}


class Service(Struct, frozen=True, kw_only=True):
    """Addresses of one service, and the files that open it."""

    url: str
    control: str | None = None
    esplora: str | None = None
    rpc_cookie_file: str | None = None
    macaroon_file: str | None = None
    certificate_file: str | None = None
    mine_to: str | None = None
    """Address that blocks are mined to, where the node is bitcoind and has no faucet of its own."""


class StackFile(Struct, frozen=True, kw_only=True):
    """Services by name; `running` is false once they were stopped, so that only the ports are worth reading."""

    services: dict[str, Service]
    operator_token_file: str
    running: bool = True

    @classmethod
    def of(cls, children: Mapping[str, Child], operator_token_file: Path) -> Self:
        """The file of services that just said they are ready."""
        return cls.of_ready({name: child.ready for name, child in children.items()}, operator_token_file)

    @classmethod
    def of_ready(cls, ready: Mapping[str, Mapping[str, Any]], operator_token_file: Path) -> Self:
        """As `of`, from what they said."""
        services = {name: msgspec.convert(said, Service) for name, said in ready.items()}
        return cls(services=services, operator_token_file=str(operator_token_file.absolute()))

    @classmethod
    def load(cls, directory: Path) -> StackFile:
        """The file of a directory. Raises InvalidInput."""
        return decode_strict(files.read(directory / FILE, "--data-dir"), cls, f"{directory / FILE}")

    @classmethod
    def known(cls, directory: Path) -> StackFile | None:
        """As load; None where there is no such file yet."""
        return cls.load(directory) if (directory / FILE).exists() else None

    def save(self, directory: Path) -> None:
        """Write it. Raises InvalidInput."""
        files.write(directory / FILE, msgspec.json.encode(self))

    def with_service(self, name: str, service: Service) -> StackFile:
        """The same and one more."""
        return StackFile(services={**self.services, name: service}, operator_token_file=self.operator_token_file)

    def stopped(self) -> StackFile:
        """The same, after all have ended."""
        return StackFile(services=self.services, operator_token_file=self.operator_token_file, running=False)

    @property
    def is_real(self) -> bool:
        """Whether bitcoind holds the chain, not the embedded node."""
        return any(service.mine_to is not None for service in self.services.values())

    def service(self, name: str) -> Service:
        """A service that runs. Raises InvalidInput."""
        if not self.running or name not in self.services:
            raise InvalidInput("--data-dir", f"no {name} runs there", "start it with `coordinator dev` or `start`")
        return self.services[name]

    def ports(self) -> dict[str, int]:
        """Every port as it was: terms of running competitions name addresses, so a restart has to keep them."""
        found: dict[str, int] = {}
        for name, service in self.services.items():
            for member, port in {"url": name, **_PORTS.get(name, {})}.items():
                number = urlsplit(getattr(service, member) or "").port
                if number is not None:
                    found[port] = number
        return found
