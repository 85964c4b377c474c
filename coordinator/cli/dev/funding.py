"""Coins for the coordinator and Lightning wallets for people, in a stack that just started."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from coordinator.cli import files
from coordinator.cli.competition.operator import OperatorApi
from coordinator.cli.dev.node import DevNode
from coordinator.cli.dev.stack_file import StackFile
from coordinator.cli.esplora import ServiceFailed
from coordinator_core.errors import Fault
from coordinator_core.units import Sats

COINS: Final = Sats(50_000_000)
SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Wallet:
    """A Lightning wallet with a channel, and the file that opens it."""

    alias: str
    url: str
    macaroon_file: str


def fund_when_new(stack: StackFile) -> Sats:
    """Give an empty wallet of the coordinator coins to fund contracts with; how many. Raises ServiceFailed."""
    with OperatorApi(stack.service("coordinator").url, files.read(stack.operator_token_file)) as operator:
        if operator.get("/wallet")["onchain_total"]:
            return Sats(0)
        DevNode.of(stack).faucet(operator.post("/wallet/address", {})["address"], COINS)
    return COINS


def make_wallets(stack: StackFile, directory: Path, count: int) -> tuple[Wallet, ...]:
    """Wallets player-1 to player-`count`, each with its macaroon in a file. Raises ServiceFailed."""
    control = (stack.service("lightning").control or "").removesuffix("/control")
    made: list[Wallet] = []
    for number in range(1, count + 1):
        node = _node(control, f"player-{number}")
        file = directory / "wallets" / f"player-{number}.macaroon"
        files.write(file, bytes.fromhex(node["macaroon_hex"]))
        made.append(Wallet(node["alias"], node["url"], str(file)))
    return tuple(made)


def _node(control: str, alias: str) -> dict[str, Any]:
    try:
        answer = httpx.post(f"{control}/control/nodes", json={"alias": alias}, timeout=SECONDS, trust_env=False)
        return answer.raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        raise ServiceFailed("lightning", f"made no wallet: {type(error).__name__}", Fault.LIGHTNING) from None
