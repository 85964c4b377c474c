"""Compact sizes and the reader of consensus-encoded bytes, at the edges of each form."""

from __future__ import annotations

import pytest

from coordinator_core.errors import InvalidInput
from coordinator_core.transaction.wire import (
    MAX_TRANSACTION_BYTES,
    Reader,
    compact_size,
    compact_size_length,
    length_prefixed,
)

FORMS = [
    (0, "00"),
    (0xFC, "fc"),
    (0xFD, "fdfd00"),
    (0xFFFF, "fdffff"),
    (0x1_0000, "fe00000100"),
    (0xFFFF_FFFF, "feffffffff"),
    (0x1_0000_0000, "ff0000000001000000"),
    (0xFFFF_FFFF_FFFF_FFFF, "ffffffffffffffffff"),
]


@pytest.mark.parametrize(("value", "encoded"), FORMS)
def test_the_shortest_form_is_written_and_read(value: int, encoded: str) -> None:
    assert compact_size(value).hex() == encoded
    assert compact_size_length(value) == len(encoded) // 2
    reader = Reader(bytes.fromhex(encoded), "raw")
    assert reader.compact() == value
    reader.finish()


@pytest.mark.parametrize("encoded", ["fdfc00", "feffff0000", "ffffffffff00000000"])
def test_a_longer_form_is_refused(encoded: str) -> None:
    with pytest.raises(InvalidInput, match="longer than needed"):
        Reader(bytes.fromhex(encoded), "raw").compact()


@pytest.mark.parametrize("encoded", ["", "fd", "fdff", "fe000001", "ff00000000010000"])
def test_one_that_is_cut_off_is_refused(encoded: str) -> None:
    with pytest.raises(InvalidInput, match="ends too early"):
        Reader(bytes.fromhex(encoded), "raw").compact()


def test_more_bytes_than_a_block_are_not_read() -> None:
    assert Reader(bytes(MAX_TRANSACTION_BYTES), "raw").peek(1) == b"\0"
    with pytest.raises(InvalidInput, match="too many") as refused:
        Reader(bytes(MAX_TRANSACTION_BYTES + 1), "funding")
    assert refused.value.field == "funding"


def test_a_vector_that_cannot_follow_is_refused_before_it_is_read() -> None:
    """A count of 2^64-1 in nine bytes must not make us reserve anything."""
    claimed = bytes.fromhex("ff" * 9)
    with pytest.raises(InvalidInput, match="ends too early"):
        Reader(claimed, "raw").count(1)
    assert Reader(b"\x02" + bytes(8), "raw").count(4) == 2
    with pytest.raises(InvalidInput):
        Reader(b"\x02" + bytes(7), "raw").count(4)


def test_what_is_left_over_is_refused() -> None:
    reader = Reader(length_prefixed(b"abc") + b"d", "raw")
    assert (reader.prefixed(), reader.peek(9)) == (b"abc", b"d")
    with pytest.raises(InvalidInput, match="1 bytes follow"):
        reader.finish()
