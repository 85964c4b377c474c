"""Which way a payment goes: the cheapest route over active channels that keeps the limits.

A payer knows its own balances and, of other channels, the capacity alone; so a route can fail at a dry channel
further on, as it does in the real network.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection
from dataclasses import dataclass, field

from coordinator.embedded.lightning import channel as ledger
from coordinator.embedded.lightning.channel import MSAT
from coordinator.embedded.lightning.forwarding import TIME_LOCK_DELTA, forwarding_fee_msat
from coordinator.embedded.lightning.model import Channel, Hop, Mode
from coordinator.embedded.lightning.state import State

Edge = tuple[int, str]
"""A channel id and the node that offers in it."""


class NoRoute(Exception):
    """No route keeps the limits."""


class InsufficientBalance(NoRoute):
    """All active channels of the payer together cannot send that much."""


@dataclass(frozen=True)
class RouteQuery:
    """What a route must do. `final_delta` and `cltv_limit` are blocks from the tip."""

    payer: str
    payee: str
    amount_msat: int
    fee_limit_msat: int
    final_delta: int
    cltv_limit: int
    closed_edges: Collection[Edge] = ()
    path: tuple[str, ...] = ()
    """The nodes to go through, payee last; empty leaves it to the search."""


@dataclass(frozen=True)
class Route:
    """Hops from the payer on, and the expiry height of the first HTLC."""

    hops: list[Hop]
    time_lock: int

    @property
    def fee_msat(self) -> int:
        """All fees."""
        return sum(hop.fee_msat for hop in self.hops)


@dataclass(order=True)
class _Reach:
    """How to get from `node` to the payee: what `node` must receive or, as the payer, send."""

    amount_msat: int
    delta: int
    hop_count: int
    node: str = field(compare=False)
    edges: tuple[tuple[int, str], ...] = field(compare=False, default=())
    """Channel and its far end, from this node to the payee."""


def find_route(state: State, query: RouteQuery) -> Route:
    """The cheapest route, by Dijkstra from the payee back. Raises NoRoute or InsufficientBalance."""
    _check_balance(state, query)
    queue = [_Reach(query.amount_msat, query.final_delta, 0, query.payee)]
    seen: set[str] = set()
    while queue:
        reach = heapq.heappop(queue)
        if reach.node == query.payer and reach.edges:
            return _build(state, query, reach)
        if reach.node in seen:
            continue
        seen.add(reach.node)
        for channel in state.channels_of(reach.node):
            step = _step_back(state, query, reach, channel)
            if step is not None and step.node not in seen:
                heapq.heappush(queue, step)
    raise NoRoute


def _step_back(state: State, query: RouteQuery, reach: _Reach, channel: Channel) -> _Reach | None:
    """From `reach.node` to the node before it, or None when that breaks a limit."""
    sender = ledger.other_side(channel, reach.node)
    direct = sender == query.payer
    if not _on_path(query, reach, sender) or (channel.chan_id, sender) in query.closed_edges:
        return None
    if not _usable(state, channel, sender, reach.amount_msat, own=direct):
        return None
    amount = reach.amount_msat if direct else reach.amount_msat + forwarding_fee_msat(reach.amount_msat)
    delta = reach.delta if direct else reach.delta + TIME_LOCK_DELTA
    if amount - query.amount_msat > query.fee_limit_msat or delta > query.cltv_limit:
        return None
    edges = ((channel.chan_id, reach.node), *reach.edges)
    return _Reach(amount, delta, reach.hop_count + 1, sender, edges)


def _on_path(query: RouteQuery, reach: _Reach, sender: str) -> bool:
    if not query.path:
        return True
    wanted = (query.payer, *query.path)
    place = len(wanted) - 2 - reach.hop_count
    return place >= 0 and wanted[place] == sender


def _usable(state: State, channel: Channel, sender: str, amount_msat: int, *, own: bool) -> bool:
    if own:
        return is_active(state, channel) and ledger.spendable_msat(channel, sender) >= amount_msat
    return channel.capacity_sat * MSAT >= amount_msat


def is_active(state: State, channel: Channel) -> bool:
    """Both ends are there."""
    ends = (state.nodes.peek(alias) for alias in channel.balances)
    return all(node is not None and node.mode is not Mode.OFFLINE for node in ends)


def _check_balance(state: State, query: RouteQuery) -> None:
    channels = [channel for channel in state.channels_of(query.payer) if is_active(state, channel)]
    if sum(ledger.spendable_msat(channel, query.payer) for channel in channels) < query.amount_msat:
        raise InsufficientBalance


def _build(state: State, query: RouteQuery, reach: _Reach) -> Route:
    """Amounts and expiries, from the payee back. The last two hops share an expiry: the payee forwards nothing."""
    hops: list[Hop] = []
    amount, expiry, fee = query.amount_msat, state.tip.height + query.final_delta, 0
    for chan_id, node in reversed(reach.edges):
        hops.append(Hop(chan_id, node, amount, fee, expiry))
        amount += fee
        fee = forwarding_fee_msat(amount)
        if len(hops) > 1:
            expiry += TIME_LOCK_DELTA
    return Route(hops[::-1], expiry)
