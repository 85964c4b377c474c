"""Linear state structs: frozen, used once. A transition consumes its state and returns the next one.

The type checker proves which transition exists on which state and what it returns; that a consumed state is not used
again is checked at run time here (a second use raises StateConsumed) and by tools/movecheck.py in the source.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ClassVar, Concatenate, Generic, NoReturn, ParamSpec, TypeVar, cast

import msgspec

from coordinator_core.errors import Misuse

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="State")
N_co = TypeVar("N_co", bound="State", covariant=True)


class StateConsumed(Misuse):
    """A state struct was used after a transition consumed it, or copied."""

    code = "misuse.state_consumed"


class State(msgspec.Struct, frozen=True, kw_only=True, dict=True, tag_field="state"):
    """Base of every typestate. `dict=True` gives the consumption token a place outside the fields."""

    version: ClassVar[int] = 1
    """Of the stored row; the next one when what is stored changes, with an upcaster (`versions`)."""

    @property
    def consumed(self) -> bool:
        """True once a transition took this state."""
        return bool(vars(self).get("_consumed", False))

    def __copy__(self) -> NoReturn:
        raise StateConsumed(f"{type(self).__name__} cannot be copied")

    def __deepcopy__(self, memo: object) -> NoReturn:
        raise StateConsumed(f"{type(self).__name__} cannot be copied")

    def __replace__(self, **changes: object) -> NoReturn:
        raise StateConsumed(f"{type(self).__name__} cannot be replaced: call a transition")

    def __reduce__(self) -> NoReturn:
        raise StateConsumed(f"{type(self).__name__} cannot be pickled")


class Step(Generic[N_co]):
    """What a transition returns: the next state and why. Duties follow from state and facts (`wanted`)."""

    __slots__ = ("reason", "state")

    def __init__(self, state: N_co, reason: str) -> None:
        self.state = state
        self.reason = reason


def consumes(transition: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Mark a method as taking `self` by value: a second call on the same object raises StateConsumed.

    A transition that raises did not happen: the state stays usable.
    """

    @functools.wraps(transition)
    def inner(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if self.consumed:
            raise StateConsumed(f"{type(self).__name__}.{transition.__name__} on a consumed state")
        vars(self)["_consumed"] = True
        try:
            return transition(self, *args, **kwargs)
        except BaseException:
            vars(self)["_consumed"] = False
            raise

    cast(Any, inner).__consumes__ = True
    return inner
