"""Real bitcoind and LND, embedded keymeld, oracle and relay, in the background under one directory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from coordinator.cli import files
from coordinator.cli.dev.background import Background
from coordinator.cli.dev.stack_file import Service, StackFile
from coordinator.cli.dev.start import finish
from coordinator.cli.embedded import Stack
from coordinator.cli.stack import DidNotStart
from coordinator_core.errors import InvalidInput
from coordinator_core.units import Sats
from tools.daemons.errors import DaemonsError
from tools.daemons.locate import Daemons, daemons
from tools.regtest import DidNotStart as DaemonDidNotStart
from tools.regtest import Rig
from tools.regtest.bitcoind import PASSWORD, USER
from tools.regtest.faucet import ADDRESS
from tools.regtest.lnd import Lnd

FOLDER: Final = "daemons"
EMBEDDED: Final = ("keymeld", "oracle", "relay")
PLAYERS: Final = ("alice", "bob")
SAT_PER_VBYTE: Final = 2
"""What the node estimates: without an estimate no ticket is sold."""


def start_real(directory: Path, background: Background) -> tuple[StackFile, dict[str, Service]]:
    """Start everything and let it go on; what to know of it, and the players' nodes.

    Raises InvalidInput for a directory that was used before (every start is a new chain) or when the daemons lack,
    DidNotStart.
    """
    if StackFile.known(directory) is not None:
        raise InvalidInput("--data-dir", "was used before", "remove it, or give another one: a new chain begins here")
    try:
        with Rig(_programs(), directory / FOLDER) as rig:
            try:
                return _start(rig, directory, background)
            except BaseException:
                background.stop_all()
                raise
    except (DaemonDidNotStart, TimeoutError) as error:
        raise DidNotStart("the regtest network", str(error)) from error


def _start(rig: Rig, directory: Path, background: Background) -> tuple[StackFile, dict[str, Service]]:
    rig.teach_fees(SAT_PER_VBYTE)
    background.adopt(rig.chain.name, rig.chain.pid)
    for node in rig.running():
        background.adopt(f"lnd-{node.name}", node.pid)
    elsewhere = {"node": _node(rig, directory), "lightning": _lightning(rig["coordinator"])}
    stack = Stack(directory, elsewhere=elsewhere, starter=background.start, outlive=True)
    stack.start_services(seed="dev", names=EMBEDDED)

    def faucet(address: str, amount: Sats) -> None:
        rig.pay((address, amount))

    file = finish(stack, directory, faucet)
    players = {name: Service(**_lightning(rig[name])) for name in PLAYERS}
    rig.detach()
    return file, players


def _programs() -> Daemons:
    try:
        return daemons()
    except DaemonsError as error:
        raise InvalidInput("--services", str(error), "./dev daemons") from None


def _node(rig: Rig, directory: Path) -> dict[str, Any]:
    cookie = directory / FOLDER / "rpc.cookie"
    files.write(cookie, f"{USER}:{PASSWORD}".encode())
    return {"url": rig.chain.url, "rpc_cookie_file": str(cookie), "mine_to": ADDRESS}


def _lightning(node: Lnd) -> dict[str, Any]:
    return {
        "url": node.url,
        "macaroon_file": str(node.admin_macaroon),
        "certificate_file": str(node.certificate),
    }
