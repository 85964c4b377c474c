"""Whether a service can be worked with, in one sentence for the operator."""

from __future__ import annotations

import asyncio
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
    """False when nothing can be done with it now. One that is merely away is waited for."""
    note: str = ""
    """What the operator may want to know of a service that works."""
    unsuitable: bool = False
    """It is there and not the right one, or too old, or keeps us out. Waiting does not help: a coordinator does not
    start on it.
    """

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


async def within(examined: Examined, seconds: float) -> Condition:
    """The condition of a service that has so long to answer."""
    try:
        async with asyncio.timeout(seconds):
            return await examined.condition()
    except TimeoutError:
        return Condition(examined.service, problem=f"it did not answer within {seconds:g} s", answers=False)
