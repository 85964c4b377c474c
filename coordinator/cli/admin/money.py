"""The commands of `coordinator admin` about the house's money."""

from __future__ import annotations

import secrets

import click
import msgspec

from coordinator.cli.admin.place import operator_options, reason_option
from coordinator.cli.admin.tables import show_money
from coordinator.cli.competition.operator import OperatorApi


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@operator_options
def money(*, api: OperatorApi, as_json: bool) -> None:
    """How far chain and Lightning were compared, and payments that nothing here explains."""
    found = api.get("/money")
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
    else:
        show_money(found)


@click.command()
@click.argument("payment_hash")
@click.option("--reason", required=True, help="What the payment was for; it stays in the audit log.")
@operator_options
def explain(*, api: OperatorApi, payment_hash: str, reason: str) -> None:
    """Say what a payment of the Lightning node was for: it holds no prize any more."""
    body = {"payment_hash": payment_hash, "reason": reason}
    api.post("/payments/explain", body, key=secrets.token_hex(16))
    click.echo(f"{payment_hash} is explained")


@click.command("accept-key")
@click.argument("whose")
@click.argument("key")
@reason_option
@operator_options
def accept_key(*, api: OperatorApi, whose: str, key: str, reason: str) -> None:
    """Take the key that oracle or keymeld has now for its own, after it had another one.

    WHOSE and KEY as `attention` shows them; refused if the key has changed again since.
    """
    body = {"whose": whose, "key": key, "reason": reason}
    answer = api.post("/keys/accept", body, key=secrets.token_hex(16))
    click.echo(f"the key of {whose} is {answer['accepted']}")


@click.command("settle-only")
@click.option("--reason", required=True, help="Players read it, and it stays in the audit log.")
@operator_options
def settle_only(*, api: OperatorApi, reason: str) -> None:
    """Take on no new competition, ticket or funding until `take-on`; what is owed is finished."""
    api.post("/settle-only", {"reason": reason}, key=secrets.token_hex(16))
    click.echo("nothing new is taken on; what is owed goes on to its end")


@click.command("take-on")
@reason_option
@operator_options
def take_on(*, api: OperatorApi, reason: str) -> None:
    """Take on new competitions, tickets and fundings again."""
    api.post("/take-on", {"reason": reason}, key=secrets.token_hex(16))
    click.echo("new competitions are taken on")
