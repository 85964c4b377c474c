"""The wallet's promises: every reserved coin is there, or was spent by the competition that reserved it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from coordinator.domain.facts import Built, Bumped, FactBook, Pinned
from coordinator.engine.reconciliation.ground import Ground
from coordinator.engine.reconciliation.transactions import outpoint
from coordinator.ports.bitcoin import Chain, Place


async def compare_coins(ground: Ground) -> None:
    """Every reserved coin. One that a stranger spent, or that the node does not know, freezes new money: this wallet's
    seed is used elsewhere, or this is another chain. Raises PortError.
    """
    store, spenders = ground.services.store, dict[str, frozenset[str]]()
    for coin in await store.reserved_coins():
        ground.beat()
        ground.looked_at += 1
        if coin.lane not in spenders:
            record = await store.lane(coin.lane)
            spenders[coin.lane] = frozenset() if record is None else own_transactions(record.facts)
        wrong = await judge_coin(ground.services.chain, coin.outpoint, spenders[coin.lane])
        if wrong is not None:
            await ground.alarm(wrong)


def own_transactions(facts: FactBook) -> frozenset[str]:
    """Txids of everything that a competition may spend coins of the wallet with."""
    pinned = (pin.funding_txid for pin in facts.all(Pinned))
    return frozenset([*pinned, *(b.txid for b in facts.all(Built)), *(b.txid for b in facts.all(Bumped))])


async def judge_coin(chain: Chain, name: str, spenders: AbstractSet[str]) -> str | None:
    """What is wrong with a reserved coin (TXID:VOUT) that only `spenders` may spend; None when it is well.

    Raises PortError.
    """
    coin = outpoint(name)
    spend = await chain.spend_of(coin)
    if spend is not None and spend.txid not in spenders:
        return f"{name} is reserved, and {spend.txid} spent it"
    if spend is None and (await chain.transaction_status(coin.txid)).place is Place.UNKNOWN:
        return f"{name} is reserved, and the node does not know it"
    return None
