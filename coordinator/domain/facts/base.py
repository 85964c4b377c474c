"""What every fact is: written once or upserted by its natural key."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Struct


class Fact(Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every fact. `key` is unique within its kind and competition."""

    version: ClassVar[int] = 1
    """Of the stored row; the next one when what is stored changes, with an upcaster (`versions`)."""
    repeatable: ClassVar[bool] = False
    """True when a later observation replaces an earlier one (see `rank`); else the first one stands."""

    @property
    def key(self) -> str:
        """Natural key within (competition, kind)."""
        return ""

    @property
    def rank(self) -> int:
        """How far what it tells has come. An observation of a lower rank than the known one was made earlier and is
        late: it takes nothing back. Where all ranks are equal the last word counts, and one duty alone has it.
        """
        return 0

    @classmethod
    def kind(cls) -> str:
        """The tag under which it is stored."""
        return str(cls.__struct_config__.tag)


class AttemptFact(Fact, frozen=True, kw_only=True):
    """A fact of one attempt of the closing (1 to 8)."""

    attempt: int

    @property
    def key(self) -> str:
        return str(self.attempt)
