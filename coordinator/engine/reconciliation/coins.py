"""The wallet's promises: every reserved coin is there, or was spent by the competition that reserved it."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import structlog

from coordinator.domain.facts import Built, Bumped, FactBook, Pinned
from coordinator.domain.versions import UnreadableRow
from coordinator.engine.reconciliation.ground import Ground
from coordinator.engine.reconciliation.transactions import outpoint
from coordinator.ports.bitcoin import Chain, Place
from coordinator.ports.store import LaneRecord, Store

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Owner:
    """Who reserved a coin."""

    spent: frozenset[str] = frozenset()
    """Coins that its confirmed fundings spent."""
    transactions: frozenset[str] = frozenset()
    """Txids of everything that it may spend coins with."""


async def compare_coins(ground: Ground) -> None:
    """Every reserved coin. One that a stranger spent, or that the node does not know, freezes new money: this wallet's
    seed is used elsewhere, or this is another chain. What was judged in this run is not asked for again when a later
    coin cannot be. Raises PortError.
    """
    store, owners = ground.services.store, dict[str, _Owner | None]()
    for coin in await store.reserved_coins():
        ground.beat()
        if coin.outpoint in ground.judged:
            continue
        ground.looked_at += 1
        if coin.lane not in owners:
            owners[coin.lane] = await _owner(store, coin.lane)
        owner = owners[coin.lane]
        if owner is None:
            continue
        if coin.outpoint not in owner.spent:
            wrong = await judge_coin(ground.services.chain, coin.outpoint, owner.transactions)
            if wrong is not None:
                await ground.alarm(wrong)
        ground.judged.add(coin.outpoint)


async def _owner(store: Store, lane: str) -> _Owner | None:
    """None for a competition that cannot be read: what it may have spent is not known, and no other waits for that."""
    try:
        record = await store.lane(lane)
    except UnreadableRow as error:
        log.error("coins not compared", lane=lane, error=str(error))
        return None
    return _Owner() if record is None else _Owner(spent_by_fundings(record), own_transactions(record.facts))


def spent_by_fundings(record: LaneRecord) -> frozenset[str]:
    """Coins that a funding of the competition spent which is in a block: to find that spend the node would have to be
    asked for every block since.
    """
    confirmed = (pin for pin in record.facts.all(Pinned) if pin.funding_txid in record.confirmed)
    return frozenset(name for pin in confirmed for name in pin.inputs)


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
