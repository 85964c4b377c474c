"""`python -m coordinator.embedded.relay`: prints one JSON line when it serves, ends on SIGTERM."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from pathlib import Path

import click

from coordinator.embedded.lightning.lifetime import end_with_parent
from coordinator.embedded.relay.server import HOST, serve
from coordinator.embedded.relay.session import Hub
from coordinator.embedded.relay.store import EventStore


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--port", default=0, show_default=True, help="0 picks one.")
@click.option("--network", type=click.Choice(["regtest", "signet", "testnet"]), default="regtest", show_default=True)
@click.option("--exit-with-parent", is_flag=True)
def main(data_dir: Path, port: int, network: str, exit_with_parent: bool) -> None:
    """A small Nostr relay on loopback, for test networks only."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        asyncio.run(_run(data_dir, port, exit_with_parent))
    except OSError as error:
        raise click.ClickException(str(error)) from error


async def _run(data_dir: Path, port: int, exit_with_parent: bool) -> None:
    store = EventStore(data_dir / "events.sqlite")
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    watcher = asyncio.create_task(end_with_parent(stopped.set)) if exit_with_parent else None
    server, bound = serve(Hub(store), port)
    print(json.dumps({"service": "relay", "url": f"ws://{HOST}:{bound}"}), flush=True)
    await stopped.wait()
    if watcher is not None:
        watcher.cancel()
    server.stop()
    await server.close_all_connections()
    store.close()


if __name__ == "__main__":
    main()
