"""What a coordinator needs before its first start on a new stack: a passphrase, a place on the oracle's list, coins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from coordinator.cli import files
from coordinator.cli.dev.funding import COINS
from coordinator.cli.dev.node import DevNode
from coordinator.cli.dev.stack_file import StackFile
from coordinator_core.secret import Secret
from coordinator_core.units import Sats

PASSPHRASE_FILE: Final = "passphrase"  # noqa: S105  (a file name)
_PASSPHRASE: Final = b"regtest only"


def passphrase_file(directory: Path) -> Path:
    """The file with the passphrase of a development seed; made when it is not there. Raises InvalidInput."""
    path = directory / PASSPHRASE_FILE
    files.create(path, _PASSPHRASE)
    return path


Faucet = Callable[[str, Sats], object]
"""Sends coins to an address and confirms them."""


async def prepare(directory: Path, stack: StackFile, data: Path, faucet: Faucet) -> tuple[str, Sats]:
    """The coordinator's public Nostr key (hex), and the coins that `faucet` gave its wallet because it had none.

    `data` is its data directory, which exists. Raises InvalidInput while a coordinator has its database open,
    ServiceFailed or a PortError when the node is away.
    """
    # Imported here: the other commands start without database and adapters.
    from coordinator.adapters.bitcoin import CoreNode, OnchainWallet
    from coordinator.adapters.bitcoin.rpc import CoreRpc
    from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
    from coordinator.adapters.store.sqlite import SqliteStore
    from coordinator.app import DATABASE, SEED
    from coordinator.ports.bitcoin import Network
    from coordinator.views.address import taproot_address

    store = await SqliteStore.open(data / DATABASE)
    node = DevNode.of(stack)
    chain = CoreNode(CoreRpc(node.url, cookie_file=node.cookie_file), network=Network.REGTEST)
    try:
        seed = load_or_create_seed(data / SEED, Secret(files.read(passphrase_file(directory)).strip()))
        keys = SealedSecrets(store, seed)
        wallet = OnchainWallet(store, chain, keys.wallet_seed(), Network.REGTEST)
        given = Sats(0)
        if not await wallet.total():
            script = await wallet.script_for("operator", "deposit")
            faucet(taproot_address(script, Network.REGTEST), COINS)
            given = COINS
        return keys.signing_key("nostr").x_only.hex(), given
    finally:
        await chain.close()
        await store.close()
