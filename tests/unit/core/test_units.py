"""Amounts, heights and dates from outside: the whole range and not one more."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coordinator_core import units
from coordinator_core.errors import InvalidInput

RANGES = [
    (units.sats, 0, 2_100_000_000_000_000),
    (units.height, 0, 499_999_999),
    (units.unix_time, 500_000_000, 4_294_967_295),
]


@pytest.mark.parametrize(("check", "least", "most"), RANGES, ids=lambda value: getattr(value, "__name__", None))
class TestRange:
    def test_its_ends_are_taken_as_they_are(self, check: Callable[[object, str], int], least: int, most: int) -> None:
        assert (check(least, "f"), check(most, "f")) == (least, most)

    def test_what_lies_beside_it_is_refused(self, check: Callable[[object, str], int], least: int, most: int) -> None:
        for value in (least - 1, most + 1):
            with pytest.raises(InvalidInput) as refused:
                check(value, "deadline")
            assert refused.value.field == "deadline"

    @pytest.mark.parametrize("value", [None, "600000000", 600_000_000.0, True, [600_000_000], b"1"])
    def test_only_whole_numbers_count(
        self, check: Callable[[object, str], int], least: int, most: int, value: object
    ) -> None:
        with pytest.raises(InvalidInput):
            check(value, "deadline")


@pytest.mark.parametrize(("value", "known"), [(1, True), (0, True), (True, False), (1.0, False), ("1", False)])
def test_a_bool_is_no_integer(value: object, known: bool) -> None:
    assert units.is_int(value) is known
