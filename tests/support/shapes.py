"""The shape of a JSON answer: names and kinds of members, without what a run draws or counts."""

from __future__ import annotations

import re
from typing import Any

LONGEST_INTEGER = 20
HASH = re.compile(r"[0-9a-f]{64}")


def shape(value: Any, *, numbers_in_text: bool = True) -> Any:
    """Objects by member, lists by the shapes of their items (an empty list fits every list), else the kind of value.

    Members named by a hash are one. `numbers_in_text`: LND writes 64 bits so, and they are a kind of their own.
    """
    if isinstance(value, dict):
        return {
            "(id)" if HASH.fullmatch(name) else name: shape(item, numbers_in_text=numbers_in_text)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [shape(item, numbers_in_text=numbers_in_text) for item in value]
    if isinstance(value, str):
        return "digits" if numbers_in_text and value.isdigit() and len(value) <= LONGEST_INTEGER else "text"
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
