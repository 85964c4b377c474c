"""The shape of a JSON answer: names and kinds of members, without what a run draws or counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def shape(value: Any) -> Any:
    """Objects by member, lists by the shapes of their items (an empty list fits every list), else the kind of value.

    Numbers in strings are a kind of their own: that is how LND writes 64 bits, and no text of a member changes kinds.
    """
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str):
        return "digits" if value.isdigit() else "text"
    return type(value).__name__


def differences(expected: Any, found: Any, place: str = "") -> list[str]:
    """Where two shapes differ, in words. A null fits an object: that is how both write a message that is not set."""
    if expected == found:
        return []
    if isinstance(expected, dict) and isinstance(found, dict):
        return _objects(expected, found, place)
    if isinstance(expected, list) and isinstance(found, list):
        return _lists(expected, found, place)
    if "NoneType" in (expected, found) and any(isinstance(one, dict) for one in (expected, found)):
        return []
    return [f"{place or 'answer'}: {found}, recorded {expected}"]


def _objects(expected: dict[str, Any], found: dict[str, Any], place: str) -> list[str]:
    told = [f"{place}.{name}: lacks" for name in expected.keys() - found.keys()]
    told += [f"{place}.{name}: not recorded" for name in found.keys() - expected.keys()]
    for name in expected.keys() & found.keys():
        told += differences(expected[name], found[name], f"{place}.{name}")
    return sorted(told)


def _lists(expected: list[Any], found: list[Any], place: str) -> list[str]:
    # Which items a list holds is the run's; each must look like one that was recorded.
    if not expected or not found:
        return []
    told = [min((differences(one, item, f"{place}[]") for one in expected), key=len) for item in found]
    return max(told, key=len)


def without(names: set[str]) -> Callable[[Any], Any]:
    """A shape with some members left out, wherever they stand."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if name not in names}
        return [strip(item) for item in value] if isinstance(value, list) else value

    return strip
