"""Balanced books of a competition out of what bitcoind and LND say, to the millisatoshi.

The sheet is everyone's money before and after. What changed is then explained by the daemons' own records of single
invoices, payments and transactions, and compared with the books that the coordinator keeps.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.e2e.application import Competition
from tests.e2e.books import lightning_account
from tests.e2e.waiting import wait_for
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.lightning_books import (
    MSAT,
    paid_in,
    payments,
    payout_hash,
    spent_on,
    ticket_and_prize,
)
from tests.regtest.e2e.services import COORDINATOR

ROUTER: Final = "router"


@dataclass(slots=True)
class Records:
    """What single invoices and payments moved, in millisatoshi, as the nodes recorded them."""

    nodes: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """By node: what came in less what left, with routing."""
    tickets: int = 0
    prizes: int = 0
    routing: list[int] = field(default_factory=list[int])
    """Of each payment of the coordinator's."""


async def require_daemon_books(app: RealApp, competition: Competition) -> dict[str, int]:
    """What changed for whom in millisatoshi, by account. Raises AssertionError when a millisatoshi is not explained.

    Every node that takes part has to run. Nothing is held any more, no output of a contract is left.
    """
    await wait_for(lambda: _is_quiet(app), "HTLCs that are gone")
    changes = await app.require_balanced_books(competition)
    recorded = await app.services.blocking(_records, app, competition)
    on_lightning = {name: changes.get(lightning_account(name), 0) for name in app.rig.nodes}
    assert on_lightning == {name: recorded.nodes.get(name, 0) for name in app.rig.nodes}, (on_lightning, recorded)
    await _require_own_books(app, competition, recorded, changes)
    return changes


async def _is_quiet(app: RealApp) -> bool:
    return not (await app.services.ledger())["held_msat"]


def _records(app: RealApp, competition: Competition) -> Records:
    """Players' and the coordinator's records of tickets and prizes; what is between payer and payee is the router's."""
    found = Records()
    ours = app.coordinator_node
    sent = payments(ours)
    for player in competition.players:
        node = app.services.node_of(player)
        ticket, prize = ticket_and_prize(node, player)
        came_in = paid_in(ours, player.ticket_hash)
        payment = sent.get(payout_hash(player))
        found.nodes[node.name] += ticket + prize
        found.nodes[COORDINATOR] += came_in - spent_on(payment)
        found.nodes[ROUTER] += -ticket - came_in + spent_on(payment) - prize
        found.tickets += came_in
        found.prizes += prize
        if prize and payment is not None:
            found.routing.append(int(payment["fee_msat"]))
    return found


async def _require_own_books(
    app: RealApp, competition: Competition, recorded: Records, changes: Mapping[str, int]
) -> None:
    """The coordinator's books say the same; they count routing in satoshi, each payment rounded up."""
    rows = await app.services.operator("GET", f"/competitions/{competition.id}/books")
    assert rows["tickets settled"] * MSAT == recorded.tickets, (rows, recorded)
    assert rows["prizes paid"] * MSAT == -recorded.prizes, (rows, recorded)
    assert rows["routing"] == -sum(-(-fee // MSAT) for fee in recorded.routing), (rows, recorded)
    rounded = sum(-fee % MSAT for fee in recorded.routing)
    own = (rows["tickets settled"] + rows["prizes paid"] + rows["routing"]) * MSAT + rounded
    assert own == changes.get(lightning_account(COORDINATOR), 0), (rows, changes)
    wallet = await app.services.operator("GET", "/wallet")
    assert wallet["onchain_total"] == await app.services.wallet_total()
