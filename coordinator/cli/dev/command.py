"""The command: start services in order, show where they are, wait for Ctrl-C, stop all."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click
from rich.console import Console
from rich.table import Table

from coordinator.cli.dev.background import Background
from coordinator.cli.dev.funding import Wallet, fund_when_new, make_wallets
from coordinator.cli.dev.stack_file import DEFAULT_DIRECTORY, StackFile
from coordinator.cli.embedded import NEEDED, SERVICES, Stack
from coordinator.cli.exits import errors_end_the_command
from coordinator_core.errors import InvalidInput


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=DEFAULT_DIRECTORY,
    show_default=True,
    help="State of everything; the same directory goes on where it was stopped.",
)
@click.option("--services", default=",".join(SERVICES), show_default=True, help="Which ones to start.")
@click.option("--wallets", type=click.IntRange(0, 25), default=3, show_default=True, help="Lightning wallets to play.")
def dev(data_dir: Path, services: str, wallets: int) -> None:
    """Run node, Lightning, keymeld, oracle, relay and the coordinator on this machine until Ctrl-C.

    Everything is regtest on loopback. The coordinator is started when the four services it needs are.
    """
    with errors_end_the_command():
        names = _names(services)
        console = Console(highlight=False, soft_wrap=True)
        background = Background(data_dir)
        with background.alone():
            background.refuse_when_running()
            _serve(console, data_dir, names, wallets)


def _serve(console: Console, data_dir: Path, names: tuple[str, ...], wallets: int) -> None:
    before = StackFile.known(data_dir)
    with _stop_on_sigterm(), Stack(data_dir, ports=before.ports() if before is not None else {}) as stack:
        console.print(f"starting {', '.join(names)} (logs are in {data_dir / 'logs'})")
        stack.start_services(seed="dev", names=names)
        whole = set(NEEDED) <= set(names)
        if whole:
            stack.start_coordinator()
        file = StackFile.of(stack.children, data_dir / "coordinator" / "operator.token")
        file.save(data_dir)
        try:
            _tell(console, file, data_dir, _prepare(console, file, data_dir, wallets) if whole else (), whole=whole)
            signal.pause()
        except KeyboardInterrupt:
            console.print("stopping")
        finally:
            file.stopped().save(data_dir)


def _names(text: str) -> tuple[str, ...]:
    given = {name.strip() for name in text.split(",") if name.strip()}
    unknown = sorted(given - set(SERVICES))
    if unknown or not given:
        raise InvalidInput("--services", f"{unknown[0] if unknown else 'nothing'} is no service", ",".join(SERVICES))
    return tuple(name for name in SERVICES if name in given)


def _prepare(console: Console, file: StackFile, data_dir: Path, wallets: int) -> tuple[Wallet, ...]:
    amount = fund_when_new(file)
    if amount:
        console.print(f"the coordinator's wallet was empty: {amount:,} sat from the faucet")
    return make_wallets(file, data_dir, wallets)


def _tell(console: Console, file: StackFile, data_dir: Path, wallets: tuple[Wallet, ...], *, whole: bool) -> None:
    table = Table(title="services", title_justify="left")
    for column in ("service", "address", "beside it"):
        table.add_column(column, overflow="fold")
    for name, service in file.services.items():
        table.add_row(name, service.url, f"Esplora {service.esplora}" if service.esplora else service.control or "")
    for wallet in wallets:
        table.add_row(wallet.alias, wallet.url, wallet.macaroon_file)
    console.print(table)
    option = "" if data_dir == DEFAULT_DIRECTORY else f" --data-dir {data_dir}"
    if not whole:
        console.print(f"no coordinator: it needs {', '.join(NEEDED)}")
    else:
        console.print(f"create a competition: coordinator competition create TERMS.toml{option}")
    if wallets:
        console.print(
            f"play in it: coordinator player join {file.services['coordinator'].url} COMPETITION --picks PICKS.json "
            f"--lnd-url {wallets[0].url} --macaroon-file {wallets[0].macaroon_file}"
        )
    if "node" in file.services:
        console.print(f"blocks come only on request: coordinator mine N{option} (or --until DATE)")
    console.print("Ctrl-C stops everything")


@contextmanager
def _stop_on_sigterm() -> Iterator[None]:
    def interrupt(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        # Asked to stop while services were starting: the stack has stopped those that ran.
        click.echo("stopped", err=True)
    finally:
        signal.signal(signal.SIGTERM, before)
