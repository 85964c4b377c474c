"""`coordinator lightning`: what an operator does once with LND."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from coordinator.cli import files
from coordinator.cli.exits import errors_end_the_command
from coordinator.config.settings import LightningSettings, load_settings
from coordinator_core.errors import Fault, InvalidInput
from coordinator_core.secret import Secret


@click.group()
def lightning() -> None:
    """Look after the coordinator's Lightning node."""


@lightning.command("bake-macaroon")
@click.option(
    "--settings", "path", type=click.Path(path_type=Path), default=Path("coordinator.toml"), show_default=True
)
@click.option(
    "--admin-macaroon",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="LND's own admin.macaroon; it is only read.",
)
@click.option(
    "--root-key-id", type=click.IntRange(1), help="LND's root key to sign with; `lncli deletemacaroonid` ends it."
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
def bake_macaroon(path: Path, admin_macaroon: Path, root_key_id: int | None, *, force: bool) -> None:
    """Have LND bake the least macaroon that the coordinator works with, into the `macaroon_file` of the settings.

    It allows the calls that the coordinator makes, one by one, and nothing else: no spending on chain, no channels,
    no invoices but held ones.
    """
    with errors_end_the_command():
        settings = load_settings(path).lightning
        target = Path(settings.macaroon_file)
        if target.exists() and not force:
            raise InvalidInput(
                "lightning.macaroon_file", f"{target} is there", "--force replaces it", fault=Fault.COORDINATOR
            )
        made, calls = asyncio.run(_bake(settings, Secret(files.read(admin_macaroon, "--admin-macaroon")), root_key_id))
        files.write(target, made.reveal())
        click.echo(f"{target}: allows {calls} calls and nothing else")


async def _bake(settings: LightningSettings, admin: Secret, root_key_id: int | None) -> tuple[Secret, int]:
    # Imported here: commands of players start without the HTTP clients of the coordinator.
    from coordinator.adapters.lightning import LndNode
    from coordinator.adapters.lightning.rights import CALLS, ROOT_KEY_ID

    certificate = Path(settings.certificate_file) if settings.certificate_file else None
    node = LndNode(settings.url, admin, certificate=certificate)
    try:
        return await node.bake_macaroon(root_key_id or ROOT_KEY_ID), len(CALLS)
    finally:
        await node.close()
