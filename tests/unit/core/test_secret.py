"""A secret is shown nowhere, copied nowhere, and gone once it is wiped."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable

import pytest

from coordinator_core.errors import InvalidInput, Misuse
from coordinator_core.secret import Secret

SEED = b"twelve words of a seed"


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "{:>3}".format, "{!r}".format])
def test_it_prints_stars(shown: Callable[[object], str]) -> None:
    assert shown(Secret(SEED)) == "***"


def test_it_can_be_set_in_a_column() -> None:
    assert f"{Secret(SEED):<6}|" == "***   |"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_it_is_not_copied(copied: Callable[[object], object]) -> None:
    with pytest.raises(Misuse, match="copied or pickled"):
        copied(Secret(SEED))


def test_an_encoder_does_not_take_it() -> None:
    with pytest.raises(TypeError):
        json.dumps({"seed": Secret(SEED)})


def test_it_is_compared_by_its_bytes_and_never_hashed() -> None:
    assert Secret(SEED) == Secret(bytearray(SEED))
    assert Secret(SEED) != Secret(SEED + b"!")
    assert Secret(SEED) != SEED
    with pytest.raises(TypeError, match="unhashable"):
        hash(Secret(SEED))


def test_wiped_it_is_read_no_more() -> None:
    secret = Secret(SEED)
    held = secret._bytes
    assert held is not None
    secret.wipe()
    assert bytes(held) == bytes(len(SEED)), "the memory itself is overwritten"
    secret.wipe()
    for read in (secret.reveal, lambda: secret == Secret(SEED)):
        with pytest.raises(Misuse, match="wiped"):
            read()


def test_an_empty_one_is_refused() -> None:
    with pytest.raises(InvalidInput, match="empty"):
        Secret(b"")


def test_two_random_ones_differ() -> None:
    first, second = Secret.random(16), Secret.random(16)
    assert (len(first.reveal()), first != second) == (16, True)
