"""Whether a service can be worked with, in one sentence for the operator."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Condition(Struct, frozen=True):
    """What an examination found. Sentences hold no secrets and no addresses."""

    service: str
    version: str = ""
    """As the service names it; nothing when it did not say."""
    problem: str = ""
    """Why it cannot be relied on now, with what to do about it; nothing when it can."""
    answers: bool = True
    """False when nothing can be done with it at all: a coordinator does not start on it."""
    note: str = ""
    """What the operator may want to know of a service that works."""

    @property
    def is_ready(self) -> bool:
        """Whether everything is as it has to be."""
        return not self.problem


class Examined(Protocol):
    """A service that can be examined."""

    service: str
    """Its name in conditions."""

    async def condition(self) -> Condition:
        """Look at everything that an operator may have set up wrongly. Never raises for what the service says."""
        ...
