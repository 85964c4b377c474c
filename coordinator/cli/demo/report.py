"""What the demo shows: each state in plain words, and a balance sheet that adds up to the satoshi."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

WORDS = {
    "created": "terms are being fixed with the oracle",
    "collecting_entries": "open: players reserve tickets and pay them into hold invoices",
    "awaiting_escrow": "closed: every held payment is read again",
    "escrow_confirmed": "tickets stand; the oracle checks that it can observe everything",
    "event_created": "the oracle announces the event",
    "awaiting_keygen": "players seal their keys to keymeld and open their picks",
    "entries_submitted": "picks stand at the oracle, its signed statement was verified; parameters are pinned",
    "awaiting_signing": "players compare every signing item with their own contract and approve",
    "funding_ready": "every signature verified; players hold their claim kits; holds are read once more",
    "funding_broadcasted": "the funding transaction is on its way",
    "funding_confirmed": "funding confirmed: tickets are settled",
    "awaiting_attestation": "contract on chain; waiting for the oracle",
    "outcome_broadcasted": "the oracle attested; the outcome transaction is on its way; winners are paid",
    "expiry_broadcasted": "the oracle was silent: the contract expired, stakes go back",
    "delta_broadcasted": "each winner has its own output on chain",
    "completed": "completed: every prize is settled",
    "returning": "returning what is held",
    "cancelled": "cancelled: everything was given back",
    "failed": "failed: everything was given back",
}


@dataclass(slots=True)
class Report:
    """Collects what happened, and prints it unless only JSON is wanted."""

    console: Console
    quiet: bool = False
    events: list[str] = field(default_factory=list[str])

    def say(self, text: str) -> None:
        """One line of the story."""
        self.events.append(text)
        if not self.quiet:
            self.console.print(text, highlight=False, soft_wrap=True)

    def state(self, state: str, reason: str | None = None) -> None:
        """A state was reached."""
        words = WORDS.get(state, state)
        self.say(f"[bold]{state.replace('_', ' ')}[/bold]: {words}" + (f" ({reason})" if reason else ""))

    def sheet(self, rows: list[tuple[str, int]], *, title: str) -> int:
        """A balance sheet in millisatoshi, shown in satoshi; its sum, which has to be zero."""
        total = sum(amount for _, amount in rows)
        table = Table(title=title, show_footer=True)
        table.add_column("account", footer="sum")
        table.add_column("sat", justify="right", footer=_sat(total))
        for account, amount in rows:
            table.add_row(account, _sat(amount))
        if not self.quiet:
            self.console.print(table)
        return total

    def payouts(self, rows: list[dict[str, Any]]) -> None:
        """Who won, who was paid what and how."""
        table = Table(title="players")
        for name in ("player", "place", "result", "paid", "how"):
            table.add_column(name, justify="right" if name == "paid" else "left")
        for row in rows:
            paid = f"{row['paid']:,}" if row["paid"] else "-"
            table.add_row(row["player"], str(row["place"] or "-"), row["result"], paid, row["how"])
        if not self.quiet:
            self.console.print(table)


def _sat(msat: int) -> str:
    whole, rest = divmod(abs(msat), 1_000)
    sign = "-" if msat < 0 else ""
    return f"{sign}{whole:,}" + (f".{rest:03}" if rest else "")
