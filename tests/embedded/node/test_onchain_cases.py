"""The recorded on-chain cases of ticketed contracts, through the acceptance rules of the mempool.

Each case names the coins it spends, their depth and the state of the chain; the verdict and the rule that gave it
must be the recorded ones. Their coins exist on no chain of ours (their funding spends foreign coinbases), so the
chain is a view built from the case, and the engine judges the scripts.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.embedded.node.acceptance import Acceptance
from coordinator.embedded.node.codec import OutPoint, Transaction, TxOutput
from coordinator.embedded.node.errors import TransactionRejected
from coordinator.embedded.node.fees import FeeSettings
from coordinator.embedded.node.index import Coin
from coordinator.embedded.node.mempool import Entry, Mempool

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "vectors" / "onchain" / "cases.json").read_text()
)["cases"]
FUNDING_HEIGHT = 400


def outpoint(text: str) -> OutPoint:
    txid, _, vout = text.partition(":")
    return OutPoint(bytes.fromhex(txid)[::-1], int(vout))


class CaseChain:
    """The chain as it was when the case was tried: `height` is the block before the one that might hold it."""

    def __init__(self, case: dict[str, Any]) -> None:
        absolute = case.get("absolute")
        base = absolute["height"] - case["height"] if absolute else FUNDING_HEIGHT
        self.height = base + case["height"] - 1
        self._median_time = absolute["mtp_of_previous_block"] if absolute else 1_700_000_000
        self._coins = {
            outpoint(i["outpoint"]): Coin(
                TxOutput(i["value"], bytes.fromhex(i["script_pubkey"])), base + i["confirmed_at"], coinbase=False
            )
            for i in case["inputs"]
            if i["state"] == "unspent"
        }

    def coin(self, wanted: OutPoint) -> Coin | None:
        return self._coins.get(wanted)

    def median_time_past(self, height: int) -> int:
        return self._median_time + (height - self.height) * 600


def mempool_with_parents(case: dict[str, Any]) -> Mempool:
    mempool = Mempool()
    for raw in case["parents_in_block"]:
        parent = Transaction.parse(bytes.fromhex(raw))
        inside = frozenset(i.previous.txid for i in parent.inputs if i.previous.txid in mempool)
        mempool.add(Entry(parent, 10_000, 0, 0, (), inside))
    return mempool


def verdict(case: dict[str, Any]) -> str:
    acceptance = Acceptance(mempool_with_parents(case), CaseChain(case), FeeSettings(), lambda _: None)
    try:
        acceptance.accept(Transaction.parse(bytes.fromhex(case["tx"])))
    except TransactionRejected as refusal:
        return refusal.reason
    return "ok"


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_verdict_as_recorded(case: dict[str, Any]) -> None:
    recorded = case["mempool"] or "ok"
    # The text in parentheses comes from connecting a block of the chain that holds the coins.
    assert verdict(case) == recorded.partition(" (")[0]


def test_every_rule_is_met() -> None:
    assert {c["layer"] for c in CASES} == {None, "script", "bip68", "locktime", "inputs"}
