"""Time and memory of building, signing and verifying contracts of n players and k places.

Each row runs in a process of its own, so that its peak memory is its own: `python tests/bench/dlc_bench.py` prints
all rows as JSON, `... N K` one. Key sets are cold, every adaptor point is parsed, signatures are read from bytes.
"""

import hashlib
import itertools
import json
import resource
import subprocess
import sys
import time
from typing import Any

from coordinator_core.dlc import (
    EXPIRY,
    Contract,
    ContractParameters,
    EventLockingConditions,
    Outcome,
    Player,
    assemble,
    verify_signatures,
)
from coordinator_core.musig2 import SoloSigner
from coordinator_core.secp256k1 import SecretKey, generator_mul
from coordinator_core.transaction import OutPoint
from coordinator_core.units import Blocks, FeeRate, Sats

SHAPES = ((3, 1), (10, 3), (20, 2), (25, 1), (20, 3))
OUTPOINT = OutPoint(b"\x5a" * 32, 1)
_WEIGHTS = (50, 30, 20, 10, 5)


def parameters(players: int, places: int) -> ContractParameters:
    """Every ranking of `places` out of `players`, expiry to all; bound splits and an anchor, as contracts made here."""
    rankings = list(itertools.permutations(range(players), places))
    payouts = {Outcome(i): dict(zip(r, _WEIGHTS, strict=False)) for i, r in enumerate(rankings)}
    payouts[EXPIRY] = dict.fromkeys(range(players), 1)
    return ContractParameters(
        market_maker=generator_mul(_digest("market maker")),
        players=tuple(
            Player(generator_mul(_digest(f"player {i}")), _digest(f"ticket {i}"), _digest(f"payout {i}"))
            for i in range(players)
        ),
        event=EventLockingConditions(
            tuple(generator_mul(_digest(f"outcome {i}")) for i in range(len(rankings))), 900_000
        ),
        outcome_payouts=payouts,
        fee_rate=FeeRate(2_500),
        funding_value=Sats(1_000_000),
        relative_locktime_block_delta=Blocks(144),
        anchor=Sats(240),
        outcome_bound_splits=True,
    )


def measure(players: int, places: int) -> dict[str, Any]:
    """One row in this process. Times are milliseconds of wall clock, memory the process's peak in MiB."""
    agreed = parameters(players, places)
    keys = [SecretKey.from_bytes(_digest(name)) for name in _names(players)]
    start = time.perf_counter()
    contract = Contract.build(agreed, OUTPOINT)
    built = time.perf_counter()
    raw = SoloSigner(keys).sign(contract.signing_items())
    signed = time.perf_counter()
    signatures = assemble(contract, raw)
    del raw
    assembled = time.perf_counter()
    verify_signatures(contract, signatures)
    verified = time.perf_counter()
    return {
        "players": players,
        "places": places,
        "outcomes": len(contract.outcomes),
        "signatures": len(list(contract.slots())),
        "build_ms": _milliseconds(built - start),
        "sign_ms": _milliseconds(signed - built),
        "verify_ms": _milliseconds(verified - assembled),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _RSS_PER_MIB, 1),
    }


def rows(shapes: tuple[tuple[int, int], ...] = SHAPES) -> list[dict[str, Any]]:
    """One row a shape, each measured in a fresh process."""
    return [_row_in_process(players, places) for players, places in shapes]


def _row_in_process(players: int, places: int) -> dict[str, Any]:
    command = [sys.executable, __file__, str(players), str(places)]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def _names(players: int) -> list[str]:
    return ["market maker", *(f"player {i}" for i in range(players))]


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _milliseconds(seconds: float) -> float:
    return round(1_000 * seconds, 1)


# Linux counts kibibytes, macOS bytes.
_RSS_PER_MIB = 1024 if sys.platform.startswith("linux") else 1024 * 1024

if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:3])) if len(sys.argv) > 1 else rows()))
