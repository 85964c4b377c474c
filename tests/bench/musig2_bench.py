"""What signing and verifying a contract's signatures costs: one process with all keys, two signers, one a player.

`musig2_rows()` gives the rows; run as a program this prints them as JSON lines.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, permutations
from typing import Any

from coordinator_core.musig2 import (
    KeySet,
    MultiSigner,
    SigningItem,
    SoloSigner,
    aggregate_nonces,
    aggregate_signatures,
    verify_batch,
)
from coordinator_core.secp256k1 import SecretKey, generator_mul, scalar_to_bytes, sha256


@dataclass(frozen=True)
class Row:
    """One measurement. `seconds` is the best of the repetitions, in one process."""

    players: int
    places: int
    operation: str
    signatures: int
    threads: int
    seconds: float
    microseconds_each: float


@dataclass(frozen=True)
class Workload:
    """The signatures of a contract: one adaptor signature an outcome, one plain signature a winner of each."""

    players: int
    places: int
    keys: list[SecretKey]
    items: list[SigningItem]

    @classmethod
    def of(cls, players: int, places: int) -> Workload:
        """Known keys; key sets as dlctix has them: everyone for an outcome, winners and maker for its splits."""
        keys = [SecretKey.from_bytes(scalar_to_bytes(10_000 + number)) for number in range(players + 1)]
        maker = keys[-1].public_key
        everyone = KeySet.aggregate([key.public_key for key in keys]).with_taproot_tweak(bytes(32))
        splits = {
            winners: KeySet.aggregate([*(keys[w].public_key for w in winners), maker]).with_taproot_tweak()
            for winners in combinations(range(players), places)
        }
        items: list[SigningItem] = []
        for number, ranking in enumerate(permutations(range(players), places)):
            point = generator_mul(scalar_to_bytes(1_000_000 + number))
            items.append(SigningItem(everyone, sha256(b"outcome %d" % number), point))
            key_set = splits[tuple(sorted(ranking))]
            items.extend(SigningItem(key_set, sha256(b"split %d %d" % (number, place))) for place in range(places))
        return cls(players, places, keys, items)

    def row(self, operation: str, threads: int, seconds: float) -> Row:
        """A measurement over all signatures of this contract."""
        count = len(self.items)
        each = round(seconds / count * 1e6, 2)
        return Row(self.players, self.places, operation, count, threads, round(seconds, 4), each)


def best_of(repetitions: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds of the quickest run, result of the last)."""
    quickest, result = float("inf"), None
    for _ in range(repetitions):
        start = time.perf_counter()
        result = work()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest, result


def sign_together(items: Sequence[SigningItem], groups: Sequence[Sequence[SecretKey]]) -> list[bytes]:
    """A whole session in one process: nonces, aggregation, shares, signatures; a group signs where it is a member."""
    signers: list[MultiSigner] = []
    taking_part: list[list[int]] = []
    nonces: list[list[bytes]] = [[] for _ in items]
    for group in groups:
        held = {key.public_key for key in group}
        mine = [index for index, item in enumerate(items) if not held.isdisjoint(item.key_set.members)]
        signer = MultiSigner(group)
        for index, nonce in zip(mine, signer.nonces([items[index] for index in mine]), strict=True):
            nonces[index].append(nonce)
        signers.append(signer)
        taking_part.append(mine)
    aggregated = [aggregate_nonces(each) for each in nonces]
    partials: list[list[bytes]] = [[] for _ in items]
    for signer, mine in zip(signers, taking_part, strict=True):
        for index, share in zip(mine, signer.sign([aggregated[index] for index in mine]), strict=True):
            partials[index].append(share)
    return aggregate_signatures(items, aggregated, partials)


def solo_rows(load: Workload, threads: int, repetitions: int) -> Iterator[Row]:
    """Signing by the holder of all keys, with and without its own check, and verification from bytes."""
    signer = SoloSigner(load.keys)
    seconds, signatures = best_of(repetitions, lambda: signer.sign(load.items, threads=threads, check=False))
    yield load.row("solo sign", threads, seconds)
    seconds, _ = best_of(repetitions, lambda: signer.sign(load.items, threads=threads))
    yield load.row("solo sign and check", threads, seconds)
    seconds, _ = best_of(repetitions, lambda: verify_batch(load.items, signatures, threads=threads))
    yield load.row("verify from bytes", threads, seconds)


def session_row(load: Workload, operation: str, groups: Sequence[Sequence[SecretKey]]) -> Row:
    """A whole session with these groups of keys, every signer in this process."""
    seconds, _ = best_of(1, lambda: sign_together(load.items, groups))
    return load.row(operation, 1, seconds)


def musig2_rows(
    shapes: Sequence[tuple[int, int]] = ((3, 1), (10, 3), (20, 3)), *, repetitions: int = 3, naive_limit: int = 3_000
) -> Iterator[Row]:
    """Rows for contracts of (players, places). One signer a player is left out above `naive_limit` signatures."""
    for players, places in shapes:
        load = Workload.of(players, places)
        for threads in (1, 2):
            yield from solo_rows(load, threads, repetitions)
        half = len(load.keys) // 2
        yield session_row(load, "two signers, whole session", [load.keys[:half], load.keys[half:]])
        if len(load.items) <= naive_limit:
            yield session_row(load, "one signer a player, whole session", [[key] for key in load.keys])


if __name__ == "__main__":
    chosen = [(int(n), int(k)) for n, k in (shape.split(",") for shape in sys.argv[1:])]
    for measured in musig2_rows(chosen) if chosen else musig2_rows():
        print(json.dumps(asdict(measured)))
