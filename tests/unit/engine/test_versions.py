"""Stored rows and their versions: golden files for ever, earlier ones cast up, later ones refused."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import msgspec
import pytest

from coordinator.domain.facts.base import Fact
from coordinator.domain.versions import FACTS, Codec, LaterVersion, UnreadableRow
from tests.support.samples import CODECS, GOLDEN, golden, golden_file

EVERY = [(codec, tag) for codec in CODECS for tag in codec.types]
FILES = sorted(GOLDEN.rglob("*.json"))


@pytest.mark.parametrize(("codec", "tag"), EVERY, ids=lambda value: getattr(value, "kind", value))
def test_every_struct_is_written_as_its_golden_file_says(codec: Codec[Any], tag: str) -> None:
    path = golden_file(codec, tag, codec.version(tag))
    assert path.exists(), "run tools/golden_states.py"
    assert path.read_text() == golden(codec, tag), "what is stored changed: give it the next version and an upcaster"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_golden_file_is_read_for_ever(path: Any) -> None:
    codec = next(codec for codec in CODECS if codec.kind == path.parent.name)
    tag, _, version = path.stem.rpartition(".v")
    found = codec.decode(tag, int(version), path.read_bytes())
    assert type(found) is codec.types[tag]
    if int(version) == codec.version(tag):
        assert json.loads(msgspec.json.encode(found)) == json.loads(path.read_bytes())


def test_there_are_samples_of_everything() -> None:
    assert len(FILES) >= len(EVERY) > 80


class Once(Fact, frozen=True, kw_only=True, tag="once"):
    """At version 3: `amount` was `sats` at version 1, and `unit` came with version 3."""

    version: ClassVar[int] = 3
    amount: int
    unit: str


class Other(Fact, frozen=True, kw_only=True, tag="other"):
    """Never changed."""


UPCASTERS = {
    ("once", 1): lambda row: {**{k: v for k, v in row.items() if k != "sats"}, "amount": row["sats"]},
    ("once", 2): lambda row: {**row, "unit": "sat"},
}
TWO: Codec[Any] = Codec("fact", Once | Other, UPCASTERS)


@pytest.mark.parametrize(
    ("version", "row"),
    [(1, {"sats": 5}), (2, {"amount": 5}), (3, {"amount": 5, "unit": "sat"})],
)
def test_earlier_rows_are_cast_up_step_by_step(version: int, row: dict[str, Any]) -> None:
    body = msgspec.json.encode({"kind": "once", **row})
    assert TWO.decode("once", version, body) == Once(amount=5, unit="sat")
    assert (TWO.present("once", version, body) == body) is (version == 3)


def test_rows_of_later_releases_and_unknown_ones_are_refused_by_name() -> None:
    with pytest.raises(LaterVersion, match=r"fact lane/once.*version 4, this release knows 3"):
        TWO.decode("once", 4, b"{}", "lane/once")
    with pytest.raises(UnreadableRow, match="never is not known"):
        TWO.decode("never", 1, b"{}")
    with pytest.raises(UnreadableRow, match="stored as other and says that it is once"):
        TWO.decode("other", 1, b'{"kind":"once","amount":1,"unit":"sat"}')
    with pytest.raises(UnreadableRow, match="cast up from version 1: 'sats' is missing"):
        TWO.decode("once", 1, b'{"kind":"once"}')
    with pytest.raises(UnreadableRow, match="cast up"):
        Codec[Any]("fact", Once | Other).decode("once", 2, b'{"kind":"once"}')
    for broken in (b"", b"[]", b'{"kind":"other","x":', b'{"kind":7}'):
        with pytest.raises(UnreadableRow):
            TWO.decode("other", 1, broken)
        with pytest.raises(UnreadableRow):
            TWO.decode("once", 1, broken)


def test_present_rows_are_read_without_a_copy() -> None:
    body = b'{"kind":"cancel_asked","by":"o","reason":"r","is_owner":false}'
    assert FACTS.present("cancel_asked", 1, body) is body


@pytest.mark.parametrize(
    ("tag", "version", "body"),
    [
        ("other", 1, b"{"),
        ("other", 1, b""),
        ("other", 1, b"{}"),
        ("other", 1, b'{"kind":"once","amount":1,"unit":"sat"}'),
        ("other", 1, b'{"kind":"other"},{"kind":"other"}'),
        ("other", 1, None),
        ("other", 1, 7),
        ("other", 2, b'{"kind":"other"}'),
        ("never", 1, b'{"kind":"never"}'),
        ("once", 1, b'{"kind":"once","amount":1}'),
    ],
)
def test_what_cannot_be_read_one_by_one_is_not_read_together(tag: str, version: int, body: Any) -> None:
    sound = b'{"kind":"other"}'
    assert TWO.reads_all("other", 1, [sound, sound])
    assert not TWO.reads_all(tag, version, [sound, body, sound] if tag == "other" else [body])
    with pytest.raises(UnreadableRow):
        TWO.decode(tag, version, body)


def test_earlier_rows_are_left_to_be_read_one_by_one() -> None:
    assert not TWO.reads_all("once", 1, [b'{"kind":"once","sats":5}'])
