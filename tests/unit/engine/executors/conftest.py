"""The services of the executors with a book of keymeld."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support import lanes as b
from tests.support.attempt import Attempt
from tests.support.keymeld_book import BookKeymeld


@pytest.fixture
def book() -> BookKeymeld:
    return BookKeymeld(b.WALL)


@pytest.fixture
def attempt(bench, book: BookKeymeld) -> Attempt:
    bench.services = dataclasses.replace(bench.services, keymeld=book)
    return Attempt(bench.services, book)
