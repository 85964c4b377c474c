"""python -m coordinator.embedded.keymeld --data-dir DIR --port 0 [--enclaves 2]

One process holds the keys of all participants. It is not attested and is for test networks only.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

from coordinator.embedded.keymeld.server import serve

_TEST_NETWORKS = ("regtest", "signet", "testnet", "testnet4")
_MAXIMUM_ENCLAVES = 16


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and serve. Exits with 2 on a bad argument, mainnet included."""
    parser = argparse.ArgumentParser(prog="python -m coordinator.embedded.keymeld", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True, help="where state and enclave keys are kept")
    parser.add_argument("--port", type=int, default=0, help="loopback port; 0 takes a free one")
    parser.add_argument("--enclaves", type=int, default=2, help="number of virtual enclaves, 1 to 16")
    parser.add_argument("--network", default="regtest", help="one of " + ", ".join(_TEST_NETWORKS))
    parser.add_argument("--allow-origin", action="append", default=[], help="browser origin that may call")
    parser.add_argument("--exit-with-parent", action="store_true", help="end when the starting process ends")
    arguments = parser.parse_args(argv)
    if arguments.network not in _TEST_NETWORKS:
        parser.error(f"network {arguments.network!r} is refused: no attestation, test networks only")
    if not 1 <= arguments.enclaves <= _MAXIMUM_ENCLAVES:
        parser.error(f"--enclaves takes 1 to {_MAXIMUM_ENCLAVES}")
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(
        serve(
            arguments.data_dir,
            port=arguments.port,
            enclaves=arguments.enclaves,
            allowed_origins=arguments.allow_origin,
            exit_with_parent=arguments.exit_with_parent,
        )
    )


if __name__ == "__main__":
    main()
