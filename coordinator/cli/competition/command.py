"""The commands of an operator."""

from __future__ import annotations

import secrets
import time
import tomllib
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import click
import msgspec
from rich.console import Console

from coordinator.cli import files
from coordinator.cli.admin.command import cancel
from coordinator.cli.competition.operator import OperatorApi
from coordinator.cli.competition.place import connect, place_options
from coordinator.cli.competition.tables import show_budget, show_competition, show_list
from coordinator.cli.esplora import ServiceFailed
from coordinator.cli.exits import EXIT_FAILED, errors_end_the_command
from coordinator_core.competition.draft import Draft, read_draft
from coordinator_core.errors import Fault, InvalidInput, Refused

PUBLISH_SECONDS: Final = 30.0
POLL_SECONDS: Final = 0.3
PREPARING: Final = "created"


@click.group()
def competition() -> None:
    """Create competitions at a running coordinator, and look after them."""


@competition.command()
@click.argument("terms", type=click.Path(allow_dash=True))
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document; needs --yes.")
@place_options
def create(
    terms: str, *, yes: bool, as_json: bool, url: str | None, token_file: str | None, data_dir: Path | None
) -> None:
    """Create a competition from TERMS (TOML, or - for standard input): check, show budget and dates, ask, publish."""
    with errors_end_the_command():
        if as_json and not yes:
            raise InvalidInput("--json", "cannot ask", "give --yes as well")
        draft = read_toml(terms)
        with connect(url, token_file, data_dir) as api:
            budget = api.post("/budget", {"draft": draft})
            if not as_json:
                show_budget(_console(), budget)
            _refuse(budget)
            if not yes and not click.confirm("Publish this competition? Its terms can never be changed", err=True):
                click.echo("nothing was created", err=True)
                raise click.exceptions.Exit(EXIT_FAILED)
            made = str(api.post("/competitions", {"draft": draft}, key=secrets.token_hex(16))["id"])
            item = _until_published(api, made)
        if as_json:
            click.echo(msgspec.json.encode({"id": made, "terms_hash": item["terms_hash"], "budget": budget}).decode())
        else:
            click.echo(f"created {made}, terms {item['terms_hash']}")


def read_toml(path: str) -> Draft:
    """A draft from a TOML file. Raises InvalidInput naming line or member."""
    try:
        value = tomllib.loads(files.read(path).decode())
    except UnicodeDecodeError:
        raise InvalidInput(path, "is not UTF-8 text", "give a TOML file") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(path, f"is not TOML: {error}", "correct that line") from None
    return read_draft(value)


def _refuse(budget: dict[str, Any]) -> None:
    if budget["objections"]:
        first = budget["objections"][0]
        raise Refused(first["field"], first["reason"], first["fix"])


def _until_published(api: OperatorApi, made: str) -> dict[str, Any]:
    deadline = time.monotonic() + PUBLISH_SECONDS
    while (item := api.public(f"/competitions/{made}"))["state"] == PREPARING:
        if time.monotonic() > deadline:
            duties = api.get(f"/competitions/{made}/log")["duties"]
            why = next((duty["error"] for duty in duties if duty["error"]), "the oracle has not answered yet")
            raise ServiceFailed("coordinator", f"{made} is made but not published: {why}", Fault.COORDINATOR)
        time.sleep(POLL_SECONDS)
    return item


def _listed(api: OperatorApi) -> list[dict[str, Any]]:
    """Every page. One that does not lead on to older competitions is the last, whatever its server says."""
    found: list[dict[str, Any]] = []
    last = ""
    while page := api.public(f"/competitions?before={last}" if last else "/competitions"):
        following = str(UUID(str(page[-1]["id"])))
        found += page
        if last and following >= last:
            break
        last = following
    return found


@competition.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@place_options
def list_(*, as_json: bool, url: str | None, token_file: str | None, data_dir: Path | None) -> None:
    """All competitions, newest first."""
    with errors_end_the_command(), connect(url, token_file, data_dir) as api:
        found = _listed(api)
        if as_json:
            click.echo(msgspec.json.encode(found).decode())
        else:
            show_list(_console(), found, int(api.public("/status")["now"]))


@competition.command()
@click.argument("competition_id", metavar="ID", type=click.UUID)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@place_options
def show(competition_id: Any, *, as_json: bool, url: str | None, token_file: str | None, data_dir: Path | None) -> None:
    """One competition: state, who is awaited, transactions."""
    with errors_end_the_command(), connect(url, token_file, data_dir) as api:
        item = api.public(f"/competitions/{competition_id}")
        if as_json:
            click.echo(msgspec.json.encode(item).decode())
        else:
            show_competition(_console(), item)


competition.add_command(cancel)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)
