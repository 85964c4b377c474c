"""Verification of plain and adaptor signatures, one by one or as a batch (BIP340's batch verification)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from coordinator_core.errors import InvalidInput, InvalidSignature
from coordinator_core.musig2.batch import batch_holds
from coordinator_core.musig2.coefficients import SOUND_BITS
from coordinator_core.musig2.equations import EquationTable
from coordinator_core.musig2.item import SigningItem
from coordinator_core.musig2.linear import linear_combination
from coordinator_core.musig2.parallel import in_slices
from coordinator_core.musig2.reading import read_signatures
from coordinator_core.secp256k1.native import ctx, lib

BATCH_MINIMUM: Final = 60
"""Below this many signatures it is quicker to check each."""


def verify(item: SigningItem, signature: bytes) -> None:
    """Check one signature of 64 bytes, or 65 for an item with an adaptor point. Raises InvalidSignature."""
    verify_batch([item], [signature])


def verify_batch(items: Sequence[SigningItem], signatures: Sequence[bytes], *, threads: int = 1) -> None:
    """Check every signature. Raises InvalidSignature with the index of the first that does not verify.

    Raises InvalidInput if the lists differ in length. A wrong signature passes with a chance of 2^-96.
    """
    if len(items) != len(signatures):
        raise InvalidInput("signatures", f"are {len(signatures)} for {len(items)} items", "give one an item")
    table = EquationTable(items)
    malformed: list[int] = []

    def read(start: int, end: int) -> None:
        index = read_signatures(table, signatures, start, end)
        if index is not None:
            malformed.append(index)

    in_slices(read, len(items), threads)
    sound = min(malformed, default=len(items))
    verify_table(table, sound, threads)
    if malformed:
        raise InvalidSignature(_name(items[sound]), "signature is malformed", index=sound)


def verify_table(table: EquationTable, count: int, threads: int = 1, *, bits: int = SOUND_BITS) -> None:
    """Check the first `count` rows of a table. Raises InvalidSignature with the index of the first bad one.

    A wrong row passes with a chance of 2^-bits.
    """
    failed: list[tuple[int, int]] = []

    def check(start: int, end: int) -> None:
        if not _holds(table, start, end, bits):
            failed.append((start, end))

    in_slices(check, count, threads)
    if failed:
        index = _first_bad(table, *min(failed))
        raise InvalidSignature(_name(table.items[index]), index=index)


def _name(item: SigningItem) -> str:
    return "signature" if item.adaptor_point is None else "adaptor signature"


def _first_bad(table: EquationTable, start: int, end: int) -> int:
    """The first row that fails, in a range known to hold one."""
    while end - start > 1:
        middle = (start + end) // 2
        if _holds(table, start, middle, SOUND_BITS):
            start = middle
        else:
            end = middle
    return start


def _holds(table: EquationTable, start: int, end: int, bits: int) -> bool:
    if end - start >= BATCH_MINIMUM:
        return batch_holds(table, start, end, bits)
    return all(_row_holds(table, index) for index in range(start, end))


def _row_holds(table: EquationTable, index: int) -> bool:
    """s*G - e*P == (+-)R, for one row."""
    scalar = int.from_bytes(table.scalars[index], "big")
    e = int.from_bytes(table.challenges[index], "big")
    left = linear_combination(scalar, [(table.items[index].key_set.even_point, -e)])
    if left is None:
        return False
    if table.odd[index]:
        lib.secp256k1_ec_pubkey_negate(ctx, left)
    return lib.secp256k1_ec_pubkey_cmp(ctx, left, table.nonces[index]) == 0
