"""Lightning's money as LND itself has it: channel balances of every node, invoices and payments by hash."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from coordinator.player.play import Player
from coordinator_core import bolt11
from tools.regtest.daemon import until
from tools.regtest.lnd import Lnd, LndRefused

MSAT: Final = 1_000
QUIET_SECONDS: Final = 30.0
PAGE: Final = 10_000


@dataclass(frozen=True, slots=True)
class NodeBalance:
    """One node's side of all its channels, in millisatoshi."""

    owned: int
    incoming: int
    """HTLCs offered to it that are neither settled nor failed."""
    opened: int
    """Capacity of the channels that it opened."""


def read_balance(node: Lnd) -> NodeBalance:
    """The balance of a running node.

    Whoever opened a channel pays the fee and the anchors of its commitment and has them back when it closes in peace:
    all that is neither the other side's nor in an HTLC is the opener's. The fee that LND shows is no use for that, it
    includes the fractions of a satoshi that the outputs leave out.
    """
    totals = {name: int(value["msat"]) for name, value in node.get("/v1/balance/channels").items() if _amount(value)}
    incoming, outgoing = totals["unsettled_local_balance"], totals["unsettled_remote_balance"]
    channels = node.get("/v1/channels")["channels"]
    opened = sum(int(one["capacity"]) for one in channels if one["initiator"]) * MSAT
    if not opened:
        return NodeBalance(totals["local_balance"], incoming, 0)
    assert all(one["initiator"] for one in channels), f"{node.name} opened some of its channels and others not"
    return NodeBalance(opened - totals["remote_balance"] - incoming - outgoing, incoming, opened)


def _amount(value: object) -> bool:
    return isinstance(value, dict) and "msat" in value


def whole_network(nodes: list[Lnd]) -> dict[str, Any]:
    """Balances by alias and what HTLCs hold, in millisatoshi, of one moment: they add up to all channels.

    Raises TimeoutError when they never do.
    """
    seen: list[dict[str, NodeBalance]] = []

    def adds_up() -> bool:
        balances = {node.name: read_balance(node) for node in nodes}
        seen[:] = [balances]
        there = sum(one.owned + one.incoming for one in balances.values())
        return there == sum(one.opened for one in balances.values())

    try:
        until(adds_up, "balances that add up to the channels", QUIET_SECONDS)
    except TimeoutError as error:
        raise TimeoutError(f"the balances do not add up to the channels: {seen}") from error
    [balances] = seen
    return {
        "nodes_msat": {name: one.owned for name, one in balances.items()},
        "held_msat": sum(one.incoming for one in balances.values()),
    }


def payments(node: Lnd) -> dict[str, dict[str, Any]]:
    """Every payment of a node by its hash (hex); of several on one hash the last."""
    listed = node.get("/v1/payments", include_incomplete="true", max_payments=PAGE)["payments"]
    return {one["payment_hash"]: one for one in listed}


def spent_on(payment: dict[str, Any] | None) -> int:
    """What a payment took from its payer with routing, in millisatoshi; 0 unless it succeeded."""
    if payment is None or payment["status"] != "SUCCEEDED":
        return 0
    return int(payment["value_msat"]) + int(payment["fee_msat"])


def invoice(node: Lnd, payment_hash: str) -> dict[str, Any]:
    """An invoice of a node by its hash (hex)."""
    return node.get(f"/v1/invoice/{payment_hash}")


def paid_in(node: Lnd, payment_hash: str) -> int:
    """What an invoice brought in, in millisatoshi; 0 unless it is settled or if the node has no such invoice."""
    try:
        found = invoice(node, payment_hash)
    except LndRefused as refused:
        if refused.status == 404:
            return 0
        raise
    return int(found["amt_paid_msat"]) if found["state"] == "SETTLED" else 0


def payout_hash(player: Player) -> str:
    """Hash of the invoice that a player asked its prize with; empty if it asked for none."""
    return bolt11.decode(player.payout_request).payment_hash.hex() if player.payout_request else ""


def ticket_and_prize(node: Lnd, player: Player) -> tuple[int, int]:
    """What the ticket took (negative) and what the prize brought, in millisatoshi, by the player's own node."""
    ticket = -spent_on(payments(node).get(player.ticket_hash))
    asked = payout_hash(player)
    return ticket, paid_in(node, asked) if asked else 0
