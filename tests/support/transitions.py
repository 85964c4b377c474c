"""The registry of transitions: every method marked `consumes`, on which state it is and where it leads."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import get_args

from coordinator.domain.competitions import states
from coordinator.domain.competitions.states import Competition
from coordinator.domain.typestate import State

STEP = re.compile(r"Step\[(.+)\]")


@dataclass(frozen=True, order=True)
class Transition:
    """`before` and `after` are tags as they are stored."""

    before: str
    method: str
    after: str


def tag(state: type[State]) -> str:
    return str(state.__struct_config__.tag)


def all_states() -> tuple[type[State], ...]:
    """Every state, in the order of a competition's life."""
    return tuple(get_args(Competition))


def registry() -> frozenset[Transition]:
    """A transition that may end in one of several states is listed once for each."""
    return frozenset(
        Transition(tag(state), name, tag(getattr(states, after.strip())))
        for state in all_states()
        for name in dir(state)
        if hasattr(method := getattr(state, name), "__consumes__")
        for after in _after(method.__wrapped__.__annotations__["return"])
    )


def _after(annotation: str) -> list[str]:
    found = STEP.fullmatch(annotation)
    assert found is not None, annotation
    return found[1].split("|")


def edges() -> frozenset[tuple[str, str]]:
    """Pairs of tags that some transition joins."""
    return frozenset((one.before, one.after) for one in registry())
