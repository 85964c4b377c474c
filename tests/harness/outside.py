"""The outside world's own books: databases of the services, blocks of the node. Read only, after the run."""

from __future__ import annotations

import base64
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from coordinator_core.transaction import Transaction
from tests.e2e.services import Services

COORDINATOR: Final = "coordinator"
Json = dict[str, Any]


def rows(path: Path, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """All rows of a query on a SQLite file, which is not changed."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, parameters).fetchall()


@dataclass(frozen=True, slots=True)
class LightningBooks:
    """Invoices and payments of every node of the Lightning network."""

    invoices: Sequence[Json]
    payments: Sequence[Json]
    attempts: dict[str, Json]

    @classmethod
    def read(cls, directory: Path) -> LightningBooks:
        """From the database of the embedded network."""
        path = directory / "network.sqlite"
        kinds: dict[str, list[Json]] = {}
        for kind, body in rows(path, "SELECT kind, body FROM objects"):
            kinds.setdefault(kind, []).append(json.loads(body))
        by_key = {attempt["key"]: attempt for attempt in kinds.get("attempt", [])}
        return cls(kinds.get("invoice", []), kinds.get("payment", []), by_key)

    def own_invoices(self) -> dict[str, Json]:
        """The coordinator's, by payment hash (hex)."""
        return {_hex(i["payment_hash"]): i for i in self.invoices if i["node"] == COORDINATOR}

    def made(self) -> list[Json]:
        """Payments that the coordinator made."""
        return [payment for payment in self.payments if payment["payer"] == COORDINATOR]

    def paid_parts(self, payment: Json) -> list[Json]:
        """Attempts of a payment that succeeded."""
        found = [self.attempts[key] for key in payment["attempts"]]
        return [attempt for attempt in found if attempt["status"] == "SUCCEEDED"]

    def settled(self, payment_hash: str) -> list[Json]:
        """Invoices of players, settled, on a hash."""
        own = [i for i in self.invoices if i["node"] != COORDINATOR and i["state"] == "SETTLED"]
        return [invoice for invoice in own if _hex(invoice["payment_hash"]) == payment_hash]


def _hex(value: str) -> str:
    """msgspec writes bytes in base64."""
    return base64.b64decode(value).hex()


def payment_hash(item: Json) -> str:
    """Payment hash (hex) of an invoice or a payment."""
    return _hex(item["payment_hash"])


@dataclass(frozen=True, slots=True)
class Block:
    """A block of the node."""

    height: int
    transactions: tuple[Transaction, ...]


async def read_blocks(services: Services, first: int) -> list[Block]:
    """Every block from a height to the tip that has more than its coinbase."""
    tip = int(await services.rpc("getblockcount"))
    found: list[Block] = []
    for height in range(first, tip + 1):
        shown = await services.rpc("getblock", await services.rpc("getblockhash", height), 2)
        if len(shown["tx"]) > 1:
            parsed = tuple(Transaction.from_hex(tx["hex"]) for tx in shown["tx"][1:])
            found.append(Block(height, parsed))
    return found


@dataclass(frozen=True)
class Records:
    """The coordinator's database: what it says it did, to be held against the others."""

    path: Path

    def facts(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Facts of a kind, with their competition."""
        for lane, body in rows(self.path, "SELECT lane, body FROM fact WHERE kind = ?", kind):
            yield lane, json.loads(body)

    def blob(self, name: str) -> bytes:
        """A stored blob."""
        return rows(self.path, "SELECT bytes FROM blob WHERE name = ?", name)[0][0]

    @cached_property
    def integrity(self) -> str:
        """SQLite's own check; "ok" when it found nothing."""
        return "; ".join(str(row[0]) for row in rows(self.path, "PRAGMA integrity_check"))

    def wrong_revisions(self) -> list[str]:
        """Lanes whose revision is not the number of their transitions."""
        query = (
            "SELECT l.id FROM lane l JOIN state_row s ON s.lane = l.id"
            " WHERE l.rev <> s.rev OR l.rev <> (SELECT count(*) FROM transition t WHERE t.lane = l.id)"
        )
        return [str(row[0]) for row in rows(self.path, query)]

    def quarantined(self) -> list[tuple[str, str]]:
        """Stopped lanes with their reasons."""
        return rows(self.path, "SELECT id, quarantined_reason FROM lane WHERE quarantined_reason IS NOT NULL")  # type: ignore[return-value]

    def open_duties(self, lane: str) -> list[tuple[Any, ...]]:
        """Open duties of a lane: kind, attempts, last error."""
        return rows(self.path, "SELECT kind, attempts, last_error FROM duty WHERE lane = ? AND status = 'open'", lane)

    def coins_reserved(self, lane: str) -> list[str]:
        """Coins that a lane still holds back."""
        query = "SELECT resource FROM reservation WHERE lane = ? AND resource LIKE 'coin:%'"
        return [str(row[0]).removeprefix("coin:") for row in rows(self.path, query, lane)]

    def leases(self) -> int:
        """Duties that someone still holds."""
        return int(rows(self.path, "SELECT count(*) FROM duty WHERE status = 'open' AND owner IS NOT NULL")[0][0])
