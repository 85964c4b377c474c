"""JSON of the right kind with something wrong in it, for Hypothesis."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
    | st.text("0123456789abcdef", max_size=70)
    | st.sampled_from(["", "00" * 32, "02" + "00" * 32, "ff" * 32, "-1", "../..", "\x00", "9" * 40])
)
ANY = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)


@st.composite
def changed(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three members left out, doubled, or replaced by any JSON."""
    root = [copy.deepcopy(document)]
    for _ in range(draw(st.integers(1, 3))):
        _change(draw, root)
    return root[0]


def _change(draw: st.DrawFn, root: list[Any]) -> None:
    parent, key = root, 0
    while isinstance(parent[key], dict | list) and parent[key] and draw(st.integers(0, 4)):
        parent = parent[key]
        key = draw(st.sampled_from(sorted(parent)) if isinstance(parent, dict) else st.integers(0, len(parent) - 1))
    how = draw(st.sampled_from(["replace", "replace", "near", "drop", "double"]))
    if how == "drop" and parent is not root:
        del parent[key]
    elif how == "double" and isinstance(parent, list) and parent is not root:
        parent.append(copy.deepcopy(parent[key]))
    elif how == "double" and isinstance(parent, dict):
        parent[draw(st.text(max_size=6))] = copy.deepcopy(parent[key])
    elif how == "near":
        parent[key] = draw(_near(parent[key]))
    else:
        parent[key] = draw(ANY)


def _near(value: Any) -> st.SearchStrategy[Any]:
    """Of the same type, so that a decoder takes it and the rules have to look."""
    if isinstance(value, bool):
        return st.just(not value)
    if isinstance(value, int):
        return st.sampled_from([value + 1, value - 1, -value, 0, 1 << 31, 1 << 53, (1 << 63) - 1])
    if isinstance(value, str) and value:
        return st.sampled_from(
            [
                value[:-1],
                value + value[-1],
                value[::-1],
                value.upper(),
                "0" * len(value),
                "f" * len(value),
                value[1:] + "z",
            ]
        )
    return ANY
