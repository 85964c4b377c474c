"""The settings file of a coordinator that runs on embedded services."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_CORE = """\
rpc_url = "{rpc}"
cookie_file = "{cookie}"
"""
_ESPLORA = """\
source = "esplora"
"""
_SETTINGS = """\
network = "regtest"
data_dir = "{data}"
domain_clock = "chain"
relays = [{relays}]

[bitcoin]
{chain}poll_seconds = 0.2

[lightning]
url = "{lightning}"
macaroon_file = "{macaroon}"
{certificate}
[keymeld]
url = "{keymeld}"

[oracle]
url = "{oracle}"

[web]
port = {port}
"""

ChainSource = Literal["core", "esplora"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StackSettings:
    """Addresses and files of the services. With `source` "esplora" the node's RPC is not told at all."""

    data: Path
    rpc: str
    cookie: str
    esplora: str | None
    lightning: str
    macaroon: str
    keymeld: str
    oracle: str
    port: int
    relay: str | None = None
    certificate: str | None = None
    source: ChainSource = "core"

    def text(self) -> str:
        """The file's text (TOML)."""
        chain = _ESPLORA if self.source == "esplora" else _CORE.format(rpc=self.rpc, cookie=self.cookie)
        if self.esplora is not None:
            chain += f'esplora_url = "{self.esplora}"\n'
        return _SETTINGS.format(
            data=self.data,
            relays=f'"{self.relay}"' if self.relay else "",
            chain=chain,
            lightning=self.lightning,
            macaroon=self.macaroon,
            certificate=f'certificate_file = "{self.certificate}"\n' if self.certificate is not None else "",
            keymeld=self.keymeld,
            oracle=self.oracle,
            port=self.port,
        )
