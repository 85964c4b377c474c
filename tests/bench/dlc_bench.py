"""Building, signing and verifying contracts of n players and k places, on one thread.

`python -m tests.bench.dlc_bench N K` measures one shape and prints JSON. Key sets are cold, every adaptor point is
parsed, signatures are read from bytes.
"""

import hashlib
import itertools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from coordinator_core.dlc import (
    EXPIRY,
    Contract,
    ContractParameters,
    EventLockingConditions,
    Outcome,
    Player,
    assemble,
    parameters_to_value,
    signatures_to_value,
    verify_signatures,
)
from coordinator_core.musig2 import SoloSigner
from coordinator_core.secp256k1 import SecretKey, generator_mul
from coordinator_core.transaction import OutPoint
from coordinator_core.units import Blocks, FeeRate, Sats

OUTPOINT = OutPoint(b"\x5a" * 32, 1)
_WEIGHTS = (50, 30, 20, 10, 5)


def parameters(players: int, places: int) -> ContractParameters:
    """Every ranking of `places` out of `players`, expiry to all; bound splits and an anchor, as contracts made here."""
    rankings = list(itertools.permutations(range(players), places))
    payouts: dict[Outcome, dict[int, int]] = {}
    for number, ranking in enumerate(rankings):
        payouts[Outcome(number)] = dict(zip(ranking, _WEIGHTS, strict=False))
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


def keys(players: int) -> list[SecretKey]:
    """Secrets of the market maker and of the players, in the order of the contract."""
    return [SecretKey.from_bytes(secret) for secret in secrets(players)]


def secrets(players: int) -> list[bytes]:
    """The bytes of `keys`; known to everyone."""
    return [_digest("market maker"), *(_digest(f"player {i}") for i in range(players))]


def measure(players: int, places: int) -> dict[str, Any]:
    """One row in this process. Times are milliseconds of processor time, memory the process's peak in MiB.

    `sign_ms` leaves the check of what was signed to `verify_ms`, which verifies all of it; a signer that checks for
    itself before it releases anything takes `checked_sign_ms`.
    """
    agreed = parameters(players, places)
    signer = SoloSigner(keys(players))
    start = time.process_time()
    contract = Contract.build(agreed, OUTPOINT)
    built = time.process_time()
    raw = signer.sign(contract.signing_items(), check=False)
    signed = time.process_time()
    signatures = assemble(contract, raw)
    del raw
    assembled = time.process_time()
    verify_signatures(contract, signatures)
    verified = time.process_time()
    peak = _peak_mib()
    del signatures
    # A contract of its own, so that nothing but the aggregated keys is known beforehand.
    again = Contract.build(agreed, OUTPOINT)
    start_again = time.process_time()
    signer.sign(again.signing_items())
    signed_again = time.process_time()
    return {
        "outcomes": len(contract.outcomes),
        "signatures": len(contract.signing_items()),
        "build_ms": 1e3 * (built - start),
        "sign_ms": 1e3 * (signed - built),
        "verify_ms": 1e3 * (verified - assembled),
        "checked_sign_ms": 1e3 * (signed_again - start_again),
        "peak_mib": peak,
    }


def row(players: int, places: int) -> dict[str, Any]:
    """The row of a shape, measured in a fresh process."""
    command = [sys.executable, "-m", "tests.bench.dlc_bench", str(players), str(places)]
    ended = subprocess.run(command, check=True, capture_output=True, cwd=Path(__file__).parents[2])
    return json.loads(ended.stdout)


def peer_request(players: int, places: int) -> dict[str, Any]:
    """The same contract with its signatures, as the Rust program of tests/peers reads it."""
    contract = Contract.build(parameters(players, places), OUTPOINT)
    signatures = assemble(contract, SoloSigner(keys(players)).sign(contract.signing_items()))
    return {
        "params": parameters_to_value(contract.parameters),
        "funding_outpoint": str(OUTPOINT),
        "secret_keys": [secret.hex() for secret in secrets(players)],
        "seed": _digest("nonces").hex(),
        "signatures": signatures_to_value(signatures),
    }


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _peak_mib() -> float:
    status = Path("/proc/self/status")
    if status.exists():
        # getrusage() would count what the parent held when it started this process.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024)


if __name__ == "__main__":
    print(json.dumps(measure(*map(int, sys.argv[1:3]))))
