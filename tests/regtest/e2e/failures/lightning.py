"""What the coordinator's LND says of the tickets of a competition."""

from __future__ import annotations

from typing import Any

from coordinator.player.play import Player
from tests.regtest.e2e.application import RealApp
from tests.regtest.e2e.lightning_books import invoice


async def held_invoices(app: RealApp, *players: Player) -> list[dict[str, Any]]:
    """The tickets' invoices as LND has them."""
    node = app.coordinator_node
    return [await app.services.blocking(invoice, node, player.ticket_hash) for player in players]


async def invoice_states(app: RealApp, *players: Player) -> list[str]:
    """Their states."""
    return [str(one["state"]) for one in await held_invoices(app, *players)]


async def require_settled_once(app: RealApp, *players: Player) -> None:
    """Each ticket was settled exactly once and brought in exactly its price, by LND's own records."""
    found = await held_invoices(app, *players)
    assert [one["state"] for one in found] == ["SETTLED"] * len(players)
    assert len({one["settle_index"] for one in found}) == len(players)
    for one in found:
        settled = [htlc for htlc in one["htlcs"] if htlc["state"] == "SETTLED"]
        assert sum(int(htlc["amt_msat"]) for htlc in settled) == int(one["value_msat"])
        assert one["amt_paid_msat"] == one["value_msat"]
