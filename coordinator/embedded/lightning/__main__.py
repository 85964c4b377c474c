"""`python -m coordinator.embedded.lightning`: prints one JSON line when it serves, ends on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from pathlib import Path

import click

from coordinator.embedded.lightning.chain import ChainFollower
from coordinator.embedded.lightning.lifetime import end_with_parent
from coordinator.embedded.lightning.network import Network
from coordinator.embedded.lightning.server import LightningService
from coordinator_core.errors import CoreError


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--port", default=0, show_default=True, help="Port of the coordinator's node; 0 picks one.")
@click.option("--control-port", default=0, show_default=True)
@click.option("--bitcoin-rpc", help="Address of a regtest Bitcoin node; without it the control server sets the height.")
@click.option("--bitcoin-cookie", type=click.Path(path_type=Path, dir_okay=False), help="Its cookie file.")
@click.option(
    "--capacity-sat", default=100_000_000, show_default=True, help="Coordinator's first channel, half pushed."
)
@click.option("--network", type=click.Choice(["regtest"]), default="regtest", show_default=True)
@click.option("--exit-with-parent", is_flag=True)
def main(
    data_dir: Path,
    port: int,
    control_port: int,
    bitcoin_rpc: str | None,
    bitcoin_cookie: Path | None,
    capacity_sat: int,
    network: str,
    exit_with_parent: bool,
) -> None:
    """A small Lightning network behind LND's REST interface, for loopback and regtest only."""
    if (bitcoin_rpc is None) != (bitcoin_cookie is None):
        raise click.UsageError("--bitcoin-rpc and --bitcoin-cookie go together")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(_serve(data_dir, port, control_port, bitcoin_rpc, bitcoin_cookie, capacity_sat, exit_with_parent))
    except (CoreError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def _serve(
    data_dir: Path,
    port: int,
    control_port: int,
    bitcoin_rpc: str | None,
    bitcoin_cookie: Path | None,
    capacity_sat: int,
    exit_with_parent: bool,
) -> None:
    network = Network(data_dir)
    chain = None
    if bitcoin_rpc is not None and bitcoin_cookie is not None:
        chain = ChainFollower(bitcoin_rpc, bitcoin_cookie, network)
    service = LightningService(network, chain, data_dir)
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None  # noqa: S101  a coroutine run by asyncio.run has a task
    signals = (signal.SIGTERM, signal.SIGINT)
    for number in signals:
        loop.add_signal_handler(number, task.cancel)
    watcher = asyncio.create_task(end_with_parent(task.cancel)) if exit_with_parent else None
    try:
        print(json.dumps(await service.start(port, control_port, capacity_sat)), flush=True)
        await service.run()
    except asyncio.CancelledError:
        logging.getLogger(__name__).info("asked to stop")
    finally:
        for number in signals:
            loop.remove_signal_handler(number)
        if watcher is not None:
            watcher.cancel()
        await service.close()


if __name__ == "__main__":
    main()
