"""Whatever text arrives: a verified invoice or a typed error, and no change of one character passes unseen."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordinator_core.bolt11 import Invoice, decode
from coordinator_core.errors import CoreError
from tests.support.examples import sweep

EXAMPLES = [
    vector["invoice"].lower()
    for vector in json.loads((Path(__file__).parents[2] / "vectors/bolt11.json").read_text())["valid"]
]
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


@settings(max_examples=sweep(200), deadline=None)
@given(st.one_of(st.text(), st.text(alphabet=ALPHABET + "1lnbc"), st.binary(), st.none(), st.integers()))
def test_hostile_text_raises_typed_errors(text) -> None:
    with pytest.raises(CoreError):
        decode(text)


@settings(max_examples=sweep(200), deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_one_changed_character_is_refused(text, data) -> None:
    position = data.draw(st.integers(0, len(text) - 1))
    character = data.draw(st.sampled_from(ALPHABET + "1b").filter(lambda c: c != text[position]))
    with pytest.raises(CoreError):
        decode(text[:position] + character + text[position + 1 :])


def checksum(readable: str, words: list[int]) -> list[int]:
    state, codes = 1, readable.encode()
    for value in (*(c >> 5 for c in codes), 0, *(c & 31 for c in codes), *words, 0, 0, 0, 0, 0, 0):
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= generator if top >> bit & 1 else 0
    return [(state ^ 1) >> 5 * (5 - i) & 31 for i in range(6)]


@settings(max_examples=sweep(200), deadline=None)
@given(st.sampled_from(EXAMPLES), st.data())
def test_a_changed_word_under_a_right_checksum_gives_another_payee(text, data) -> None:
    """The signature covers everything: what still decodes no longer comes from the payee."""
    original = decode(text)
    readable, _, body = text.rpartition("1")
    words = [ALPHABET.index(character) for character in body][:-6]
    position = data.draw(st.integers(0, len(words) - 1))
    words[position] ^= data.draw(st.integers(1, 31))
    changed = f"{readable}1" + "".join(ALPHABET[word] for word in (*words, *checksum(readable, words)))
    try:
        decoded = decode(changed)
    except CoreError:
        return
    assert isinstance(decoded, Invoice)
    assert decoded.payee != original.payee
