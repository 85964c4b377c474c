"""The tagged fields of an invoice (BOLT11 "Tagged Fields").

Unknown types and fields of a fixed length that have another length are skipped, as the BOLT's own examples want. A
known field must not come twice, but for routes: readers that pick different ones would pay different things.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from coordinator_core.bolt11.words import words_to_bytes, words_to_int
from coordinator_core.errors import InvalidInput
from coordinator_core.secp256k1 import parse_point
from coordinator_core.units import Blocks, Millisats

_TYPES: Final = {
    1: "payment hash",
    3: "route",
    5: "features",
    6: "expiry",
    13: "description",
    16: "payment secret",
    19: "payee",
    23: "description hash",
    24: "min final cltv expiry",
    27: "metadata",
}
_FIXED_WORDS: Final = {"payment hash": 52, "payment secret": 52, "payee": 53, "description hash": 52}
_HOP_BYTES: Final = 51
_MAX_NUMBER: Final = 1 << 32


@dataclass(frozen=True)
class RouteHop:
    """A channel on the way to the payee: it starts at `node_id` (33 bytes)."""

    node_id: bytes
    short_channel_id: int
    fee_base: Millisats
    fee_proportional_millionths: int
    cltv_expiry_delta: Blocks


class Fields:
    """The known fields of an invoice by name, each as words."""

    def __init__(self, words: Sequence[int]) -> None:
        """Split the data between timestamp and signature. Raises InvalidInput for a field cut off."""
        self._single: dict[str, Sequence[int]] = {}
        self._repeated: list[str] = []
        self.routes: list[tuple[RouteHop, ...]] = []
        for name, data in _split(words):
            if name == "route":
                self.routes.append(_hops(data))
            elif name in self._single:
                self._repeated.append(name)
            else:
                self._single[name] = data

    def refuse_repeated(self) -> None:
        """Raise InvalidInput if a field that may come once came twice."""
        if self._repeated:
            raise InvalidInput(f"invoice.{self._repeated[0]}", "comes twice", "ask the payee for another invoice")

    def octets(self, name: str) -> bytes | None:
        """A field as bytes. Raises InvalidInput for bits left over."""
        words = self._single.get(name)
        return None if words is None else words_to_bytes(words, f"invoice.{name}")

    def required(self, name: str) -> bytes:
        """A field that an invoice must have, as bytes. Raises InvalidInput."""
        value = self.octets(name)
        if value is None:
            raise InvalidInput(f"invoice.{name}", "is missing", "ask the payee for a complete invoice")
        return value

    def number(self, name: str, default: int) -> int:
        """A field as a number below 2^32. Raises InvalidInput for a larger one or for leading zeros."""
        words = self._single.get(name)
        if words is None:
            return default
        _refuse_leading_zero(words, name)
        value = words_to_int(words)
        if value >= _MAX_NUMBER:
            raise InvalidInput(f"invoice.{name}", "is too large", "at most 4294967295")
        return value

    def bits(self, name: str) -> frozenset[int]:
        """A field as the positions of its set bits, the last bit being 0. Raises InvalidInput for leading zeros."""
        words = self._single.get(name)
        if words is None:
            return frozenset()
        _refuse_leading_zero(words, name)
        value = words_to_int(words)
        return frozenset(bit for bit in range(value.bit_length()) if value >> bit & 1)


def _split(words: Sequence[int]) -> Iterator[tuple[str, Sequence[int]]]:
    position = 0
    while position < len(words):
        if position + 3 > len(words):
            raise InvalidInput("invoice", "ends within a field", "copy the whole invoice")
        kind, length = words[position], words[position + 1] << 5 | words[position + 2]
        position += 3
        data = words[position : position + length]
        if len(data) != length:
            raise InvalidInput("invoice", "ends within a field", "copy the whole invoice")
        position += length
        name = _TYPES.get(kind)
        if name is not None and _FIXED_WORDS.get(name, length) == length:
            yield name, data


def _hops(words: Sequence[int]) -> tuple[RouteHop, ...]:
    data = words_to_bytes(words, "invoice.route")
    if not data or len(data) % _HOP_BYTES:
        raise InvalidInput("invoice.route", f"has {len(data)} bytes", f"a multiple of {_HOP_BYTES}")
    return tuple(_hop(data[start : start + _HOP_BYTES]) for start in range(0, len(data), _HOP_BYTES))


def _hop(data: bytes) -> RouteHop:
    def number(start: int, end: int) -> int:
        return int.from_bytes(data[start:end], "big")

    return RouteHop(
        node_id=parse_point(data[:33], "invoice.route"),
        short_channel_id=number(33, 41),
        fee_base=Millisats(number(41, 45)),
        fee_proportional_millionths=number(45, 49),
        cltv_expiry_delta=Blocks(number(49, 51)),
    )


def _refuse_leading_zero(words: Sequence[int], name: str) -> None:
    if not words or words[0] == 0:
        raise InvalidInput(f"invoice.{name}", "has leading zeros", "ask the payee for a well-formed invoice")
