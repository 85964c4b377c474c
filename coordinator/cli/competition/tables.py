"""A budget, a list and a competition as a person reads them."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from coordinator.cli.text import plain

_DATES = {
    "entries_close": "entries close",
    "closing_ends": "closing ends, or tickets go back",
    "funding_deadline": "funding deadline",
    "observation_start": "observation starts",
    "observation_end": "observation ends",
    "signing_date": "oracle signs",
    "expiry": "contract expires",
}
_PER_VBYTE = 250
"""sat/kWU in a sat/vB."""


def show_budget(console: Console, budget: Mapping[str, Any]) -> None:
    """Price, one row for each number of entries, dates, and what speaks against it."""
    console.print(f"[bold]{plain(budget['title'])}[/bold] on {budget['network']}")
    console.print(
        f"{budget['picks']} picks of {len(budget['targets'])} targets and {len(budget['metrics'])} metrics, "
        f"scored by {'lines' if budget['scoring'] == 'lines' else 'fixed points'}"
    )
    console.print(
        f"price: {_sat(budget['entry_fee'])} entry fee + {_sat(budget['coordinator_fee'])} coordinator fee "
        "+ network fee of the day"
    )
    console.print(_rows(budget))
    for line in _dates(budget):
        console.print(line)
    console.print()
    console.print(
        f"least entry fee for these numbers {_sat(budget['minimum_entry_fee'])}; at the fee ceiling tickets are sold "
        f"from {_sat(budget['unpaused_entry_fee'])} on; a day after the outcome a payout still reaches over "
        f"{budget['route_reach']} routers"
    )
    for finding in budget["findings"]:
        console.print(
            f"[yellow]note[/yellow]: the oracle today: {plain(finding['subject'])}: {plain(finding['reason'])}"
        )
    for objection in budget["objections"]:
        console.print(
            f"[red]no[/red]: {plain(objection['field'])}: {plain(objection['reason'])} ({plain(objection['fix'])})"
        )


def _rows(budget: Mapping[str, Any]) -> Table:
    ceiling = budget["fee_rate_ceiling"] / _PER_VBYTE
    table = _table(
        f"budget in sat, at the fee ceiling of {ceiling:g} sat/vB",
        ("entries", "prizes", "on chain", "fees in", "chain cost", "outcomes", "sessions"),
    )
    table.caption = (
        "prizes: over Lightning, after the routing allowance; on chain: the least that a winner gets there; "
        "fees in: network fees of all tickets; sessions: keymeld's quota"
    )
    for row in budget["rows"]:
        table.add_row(
            str(row["entries"]),
            _amounts(prize["net"] for prize in row["prizes"] or ()),
            _amounts((row["shares"] or {}).get("ranked", ())),
            f"{row['network_fees']:,}",
            f"{row['chain_cost']:,}",
            f"{row['outcomes']:,}",
            str(row["signing_sessions"]),
        )
    return table


def _dates(budget: Mapping[str, Any]) -> Iterator[str]:
    for name, words in _DATES.items():
        height = f", height {budget['funding_deadline_height']:,}" if name == "funding_deadline" else ""
        yield f"{words:<34}{when(budget['dates'][name], budget['now'])}{height}"


def show_list(console: Console, competitions: Sequence[Mapping[str, Any]], now: int) -> None:
    """One line for each competition."""
    if not competitions:
        console.print("no competition yet")
        return
    for item in competitions:
        console.print(f"{plain(item['id'])}  [bold]{plain(item['title'])}[/bold]")
        players = f"{item['players']} players"
        if item["maximum"] is not None:
            players = f"{item['players']} of {item['maximum']} players, {_sat(item['entry_fee'])}"
        closes = "" if item["closes_at"] is None else f", entries close {when(item['closes_at'], now)}"
        console.print(f"  {_words(item['state'])}, {players}{closes}")


def show_competition(console: Console, item: Mapping[str, Any]) -> None:
    """State, who is awaited, transactions."""
    console.print(f"[bold]{plain(item['title'])}[/bold] {plain(item['id'])}")
    step = f", step {item['step']} of 7" if item["step"] else ""
    reason = f": {plain(item['reason'])}" if item["reason"] else ""
    console.print(f"{_words(item['state'])}{step}{reason}")
    if item["maximum"] is not None:
        console.print(f"{item['players']} of {item['maximum']} players, at least {item['minimum']}")
    if item["closes_at"] is not None:
        console.print(f"entries close {when(item['closes_at'], item['now'])}")
    if item["terms_hash"] is not None:
        console.print(f"terms {plain(item['terms_hash'])}")
    for one in item["waiting_for"]:
        who = one["who"] if one["entry_id"] is None else f"{one['who']} {one['entry_id']}"
        console.print(f"waits for {plain(who)} to {plain(one['what'])}{_until(one, item['now'])}")
    for transaction in item["transactions"]:
        where = "unconfirmed" if transaction["height"] is None else f"block {transaction['height']:,}"
        console.print(f"{plain(transaction['role']):<10} {plain(transaction['txid'])} {where}")


def _until(awaited: Mapping[str, Any], now: int) -> str:
    at, clock = awaited["until"], awaited["clock"]
    if at is None:
        return ""
    if clock == "height":
        return f" until block {at:,}"
    # The wall clock is this machine's; the others are near the competition's own.
    return f" until {when(at, int(time.time()) if clock == 'wall' else now)}"


def when(moment: int, now: int) -> str:
    """A date in UTC and how far it is from `now` (the competition's clock)."""
    seconds = abs(moment - now)
    days, hours, minutes = seconds // 86_400, seconds % 86_400 // 3_600, seconds % 3_600 // 60
    distance = f"{days} d {hours} h" if days else f"{hours} h {minutes} min"
    relative = f"in {distance}" if moment >= now else f"{distance} ago"
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC ({relative})"


def _amounts(amounts: Iterable[int]) -> str:
    return " / ".join(f"{amount:,}" for amount in amounts) or "not possible"


def _sat(amount: int) -> str:
    return f"{amount:,} sat"


def _words(state: str) -> str:
    return plain(state).replace("_", " ")


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", caption_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name)
    return table
