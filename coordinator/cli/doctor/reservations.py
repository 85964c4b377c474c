"""Whether the wallet still has what it promised to competitions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import msgspec

from coordinator.adapters.store.inspection import read_only
from coordinator.cli.doctor.report import Check, Verdict
from coordinator.domain.facts import Built, Bumped, Pinned
from coordinator.engine.reconciliation.coins import judge_coin
from coordinator.ports.bitcoin import Chain

_OWN: Final = {Pinned.kind(): "funding_txid", Built.kind(): "txid", Bumped.kind(): "txid"}
_RESERVED: Final = "SELECT lane, resource FROM reservation WHERE resource LIKE 'coin:%'"


def promised(path: Path) -> list[tuple[str, frozenset[str]]]:
    """Every reserved coin ("txid:vout") with the transactions of its competition that may spend it."""
    with closing(read_only(path)) as connection:
        coins = connection.execute(_RESERVED).fetchall()
        kinds = tuple(_OWN)
        query = f"SELECT lane, kind, body FROM fact WHERE kind IN ({', '.join('?' * len(kinds))})"  # noqa: S608
        own = _spenders(connection.execute(query, kinds))
    return [(row["resource"].removeprefix("coin:"), own.get(row["lane"], frozenset())) for row in coins]


def _spenders(rows: Iterable[Any]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for row in rows:
        txid = msgspec.json.decode(row["body"], type=dict[str, Any]).get(_OWN[row["kind"]])
        found.setdefault(row["lane"], set()).add(str(txid))
    return {lane: frozenset(txids) for lane, txids in found.items()}


async def reserved(chain: Chain, coins: Sequence[tuple[str, frozenset[str]]]) -> Check:
    """Compare the reserved coins with the node. Raises PortError."""
    for outpoint, spenders in coins:
        if (wrong := await judge_coin(chain, outpoint, spenders)) is not None:
            fix = "is this the node that the wallet was used with, and does no other program use its seed?"
            return Check("coins", Verdict.FAILED, wrong, fix)
    return Check("coins", Verdict.OK, f"{len(coins)} reserved, all there")
