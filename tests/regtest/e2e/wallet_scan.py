"""The coordinator's coins as bitcoind finds them: the seed's descriptor against the set of unspent outputs.

Neither the coordinator's database nor its own sums take part: what is found here could be restored from the seed.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final, cast

from embit.bip32 import HDKey
from embit.networks import NETWORKS

from coordinator.adapters.secrets import SealedSecrets, load_or_create_seed
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.secret import Secret
from tools.regtest import Bitcoind
from tools.regtest.faucet import COIN

PASSPHRASE: Final = Secret(b"regtest only")
LAST_NUMBER: Final = 400
"""Far more addresses than the scenarios of a run ask for."""


def scan_wallet(chain: Bitcoind, seed_file: Path) -> int:
    """Satoshi in confirmed outputs of the wallet of a seed file."""
    wanted = [{"desc": descriptor(seed_file), "range": LAST_NUMBER}]
    found = chain.call("scantxoutset", "start", wanted)
    assert found["success"]
    return round(found["total_amount"] * COIN)


@lru_cache
def descriptor(seed_file: Path) -> str:
    """The wallet's public descriptor: BIP86, account 0, receiving addresses."""
    seed = load_or_create_seed(seed_file, PASSPHRASE)
    # Deriving needs no database.
    tree = SealedSecrets(cast("SqliteStore", None), seed).wallet_seed()
    account = HDKey.from_seed(tree.reveal()).derive("m/86h/1h/0h").to_public()
    return f"tr({account.to_base58(NETWORKS['regtest']['xpub'])}/0/*)"
