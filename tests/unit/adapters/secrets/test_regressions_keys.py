"""One seed, many keys: what one key gives away opens nothing else."""

from __future__ import annotations

from pathlib import Path

from coordinator.adapters.secrets import SealedSecrets
from coordinator.adapters.store.sqlite import SqliteStore
from coordinator_core.secret import Secret

SEED = Secret(b"\x21" * 32)


async def test_every_purpose_has_a_key_of_its_own(new_database: Path) -> None:
    store = await SqliteStore.open(new_database)
    try:
        keys = SealedSecrets(store, SEED)
        named = [keys.market_maker_key(lane) for lane in ("one", "two")]
        named += [keys.signing_key(purpose) for purpose in ("nostr", "receipts")]
        made = {key.x_only for key in named}
        wallet = keys.wallet_seed().reveal()
        assert len(made) == len(named)
        # Chain code and key of the wallet's tree come of different halves: neither is the other, nor another's key.
        assert len(wallet) == 64
        assert wallet[:32] != wallet[32:]
        assert SEED.reveal() not in {wallet[:32], wallet[32:]}
        again = SealedSecrets(store, SEED)
        assert [again.market_maker_key("one").x_only, again.wallet_seed().reveal()] == [named[0].x_only, wallet]
        other = SealedSecrets(store, Secret(b"\x22" * 32))
        assert other.market_maker_key("one").x_only not in made
    finally:
        await store.close()
