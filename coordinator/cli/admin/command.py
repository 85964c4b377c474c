"""The commands of `coordinator admin`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import click
import msgspec

from coordinator.cli.admin.money import accept_key, explain, money, settle_only, take_on
from coordinator.cli.admin.place import operator_options, reason_option
from coordinator.cli.admin.tables import show_attention, show_audit
from coordinator.cli.competition.operator import OperatorApi

EXIT_ATTENTION: Final = 3
"""Of `attention`: something needs a person."""
_ID = click.argument("competition_id", metavar="ID", type=click.UUID)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group()
def admin() -> None:
    """Look after a running coordinator. Each act is written down with who and why."""


for _command in (money, explain, settle_only, take_on, accept_key):
    admin.add_command(_command)


@admin.command()
@_JSON
@operator_options
def attention(*, api: OperatorApi, as_json: bool) -> None:
    """What needs a person, why, since when, and what to do; exits 3 when there is something."""
    found = api.get("/attention")
    if as_json:
        _print(found)
    else:
        show_attention(found)
    if found:
        raise click.exceptions.Exit(EXIT_ATTENTION)


@admin.command()
@_JSON
@click.option("--before", type=click.IntRange(min=1), help="From before this line on.")
@operator_options
def audit(*, api: OperatorApi, as_json: bool, before: int | None) -> None:
    """What operators did, newest first, a hundred lines at a time."""
    found = api.get("/audit" if before is None else f"/audit?before={before}")
    if as_json:
        _print(found)
    else:
        show_audit(found)


@admin.command()
@_ID
@click.option("--duty", default="", help="Only this one.")
@reason_option
@operator_options
def retry(*, api: OperatorApi, competition_id: UUID, duty: str, reason: str) -> None:
    """Try again now what waits for its next try."""
    answer = _act(api, f"/competitions/{competition_id}/retry", {"reason": reason, "duty": duty})
    click.echo(f"{answer['due']} duties are tried now")


@admin.command()
@_ID
@reason_option
@operator_options
def resume(*, api: OperatorApi, competition_id: UUID, reason: str) -> None:
    """Let a stopped competition go on, if it does not contradict itself any more."""
    _act(api, f"/competitions/{competition_id}/resume", {"reason": reason})
    click.echo(f"{competition_id} goes on")


@admin.command()
@_ID
@reason_option
@operator_options
def reconcile(*, api: OperatorApi, competition_id: UUID, reason: str) -> None:
    """Compare a competition with chain and services again."""
    answer = _act(api, f"/competitions/{competition_id}/reconcile", {"reason": reason})
    click.echo(f"{answer['due']} duties ask again, the chain is searched for {answer['watches']} watches")


@admin.command()
@_ID
@click.option("--reason", required=True, help="Players read it, and it stays in the audit log.")
@operator_options
def cancel(*, api: OperatorApi, competition_id: UUID, reason: str) -> None:
    """Cancel before the funding; every held ticket is given back. After the closing time two owners have to ask."""
    answer = _act(api, f"/competitions/{competition_id}/cancel", {"reason": reason})
    if answer.get("awaits_second_owner"):
        click.echo(f"{competition_id} is cancelled as soon as another owner asks for it too")
    else:
        click.echo(f"{competition_id} is cancelled; what is held is being given back")


@admin.command()
@click.option("--competition", "competition_id", type=click.UUID, help="Only those of this one.")
@click.option("--kind", default="", help="Only this kind, such as ln.pay.")
@click.option("--duty", default="", help="Only this one.")
@reason_option
@operator_options
def reopen(*, api: OperatorApi, competition_id: UUID | None, kind: str, duty: str, reason: str) -> None:
    """Try dead duties again: those that match everything given, all of them without an option."""
    wanted = {"competition": "" if competition_id is None else str(competition_id), "kind": kind, "duty": duty}
    reopened = _act(api, "/duties/reopen", {"reason": reason, **wanted})["reopened"]
    for name in reopened:
        click.echo(name)
    click.echo(f"{len(reopened)} duties are open again", err=True)


@admin.command()
@click.option("--reason", required=True, help="Players read it, and it stays in the audit log.")
@operator_options
def freeze(*, api: OperatorApi, reason: str) -> None:
    """Sell no ticket until `unfreeze`; what was paid goes on to its end."""
    _act(api, "/freeze", {"reason": reason})
    click.echo("no new money comes in; what was paid goes on")


@admin.command()
@reason_option
@operator_options
def unfreeze(*, api: OperatorApi, reason: str) -> None:
    """Let new money in again."""
    _act(api, "/unfreeze", {"reason": reason})
    click.echo("new money may come in")


def _act(api: OperatorApi, path: str, body: Mapping[str, str]) -> dict[str, Any]:
    """With a key of its own: a lost answer may be asked for again without a second effect."""
    answer: dict[str, Any] = api.post(path, body, key=secrets.token_hex(16))
    return answer


def _print(value: object) -> None:
    click.echo(msgspec.json.encode(value).decode())
