"""`coordinator start` and `coordinator stop`: services in the background, for a coordinator run by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from coordinator.cli.dev.background import Background
from coordinator.cli.dev.funding import make_wallets
from coordinator.cli.dev.node import DevNode
from coordinator.cli.dev.prepare import Faucet, prepare
from coordinator.cli.dev.stack_file import DEFAULT_DIRECTORY, Service, StackFile
from coordinator.cli.embedded import SERVICES, Stack
from coordinator.cli.exits import errors_end_the_command
from coordinator_core.errors import InvalidInput

directory_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="State of everything; the same directory goes on where it was stopped.",
)


@click.command()
@directory_option
@click.option("--wallets", type=click.IntRange(0, 25), default=3, show_default=True, help="Lightning wallets to play.")
def start(data_dir: Path, wallets: int) -> None:
    """Start node, Lightning, keymeld, oracle and relay in the background; `coordinator stop` ends them.

    `coordinator run` without a settings file then runs the coordinator on them.
    """
    with errors_end_the_command():
        background = Background(data_dir)
        with background.alone():
            background.refuse_when_running()
            file = _start(data_dir.absolute(), background)
        tell(file, data_dir)
        for wallet in make_wallets(file, data_dir.absolute(), wallets):
            click.echo(f"{wallet.alias}: {wallet.url} {wallet.macaroon_file}")


@click.command()
@directory_option
def stop(data_dir: Path) -> None:
    """End what `coordinator start` started, and nothing else."""
    with errors_end_the_command():
        if not _stop(Background(data_dir), data_dir):
            click.echo(f"nothing runs in {data_dir}")


def _stop(background: Background, data_dir: Path) -> int:
    """How many services were ended, or had ended by themselves."""
    known = StackFile.known(data_dir)
    if known is None:
        return 0
    ended = 0
    with background.alone():
        for name, how in background.stop():
            ended += 1
            click.echo(f"{name} {how}")
        known.stopped().save(data_dir)
    return ended


def _start(directory: Path, background: Background) -> StackFile:
    before = StackFile.known(directory)
    if before is not None and before.is_real:
        raise InvalidInput("--data-dir", "holds a chain of bitcoind's", "give another directory, or remove it")
    ports = before.ports() if before is not None else {}
    stack = Stack(directory, ports=ports, starter=background.start, outlive=True)
    try:
        stack.start_services(seed="dev", names=SERVICES)
        return finish(stack, directory)
    except BaseException:
        background.stop_all()
        raise


def finish(stack: Stack, directory: Path, faucet: Faucet | None = None) -> StackFile:
    """Make the services ready for a coordinator, and known to other commands. `faucet`: default the node's own."""
    stack.write_settings(stack.url("oracle"))
    data = directory / "coordinator"
    data.mkdir(mode=0o700, exist_ok=True)
    file = StackFile.of_ready(stack.ready(), data / "operator.token")
    file = file.with_service("coordinator", Service(url=f"http://127.0.0.1:{stack.port}"))
    key, given = asyncio.run(prepare(directory, file, data, faucet or DevNode.of(file).faucet))
    stack.introduce_to_oracle(key)
    if given:
        click.echo(f"the coordinator's wallet was empty: {given:,} sat from the faucet")
    file.save(directory)
    return file


def tell(file: StackFile, data_dir: Path) -> None:
    """Print where everything is and what to type next."""
    table = Table(title="services", title_justify="left")
    for column in ("service", "address", "beside it"):
        table.add_column(column, overflow="fold")
    for name, service in file.services.items():
        if name != "coordinator":
            table.add_row(name, service.url, f"Esplora {service.esplora}" if service.esplora else service.control or "")
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    option = "" if data_dir == DEFAULT_DIRECTORY else f" --data-dir {data_dir}"
    settings = "" if data_dir == DEFAULT_DIRECTORY else f" --settings {data_dir / 'coordinator.toml'}"
    console.print(f"logs: {data_dir / 'logs'}; coordinator's address: {file.services['coordinator'].url}")
    console.print(f"run the coordinator: ./dev run{settings}")
    console.print(f"blocks come only on request: ./dev mine N{option}; end everything: ./dev stop{option}")
