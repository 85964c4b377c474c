"""Versions of stored rows. A row says its tag and version; what an earlier release wrote is cast up when it is read.

A struct that changes what it stores gets the next `version` and an upcaster from the one before. Rows of a later
release, or of a tag that nobody knows, are refused, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast, get_args

import msgspec

from coordinator.domain.competitions.states import Competition
from coordinator.domain.duties import AnyDuty
from coordinator.domain.facts import AnyFact
from coordinator_core.errors import Fault, Misuse

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Pure: the members of a row at one version → its members at the next."""
Upcasters = Mapping[tuple[str, int], Upcast]
"""By tag and the version that it starts from."""
FIRST = 1
T = TypeVar("T")


class UnreadableRow(Misuse):
    """A stored row cannot be read by this version. `row` says which one it is."""

    code = "store.unreadable_row"

    def __init__(self, row: str, reason: str) -> None:
        super().__init__(f"{row}: {reason}")
        self.row = row
        self.reason = reason
        self.fault = Fault.COORDINATOR


class LaterVersion(UnreadableRow):
    """A row was written by a later release than this one."""

    code = "store.later_version"


class Codec(Generic[T]):
    """Reads and writes the members of one tagged union."""

    def __init__(self, kind: str, union: Any, upcasters: Upcasters | None = None) -> None:
        self.kind = kind
        self.types: Mapping[str, type[msgspec.Struct]] = {_tag(member): member for member in get_args(union)}
        self._union = union
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(union)
        self._upcasters = dict(upcasters or {})

    def version(self, tag: str) -> int:
        """The version in which rows of a tag are written now; 1 for a tag that this release does not write."""
        return int(getattr(self.types.get(tag), "version", FIRST))

    def decode(self, tag: str, version: int, body: bytes, row: str = "") -> T:
        """A row as the present struct. `row` names it in errors. Raises UnreadableRow, LaterVersion."""
        name = f"{self.kind} {row or tag}"
        try:
            found = self._decoder.decode(self.present(tag, version, body, row))
        except (msgspec.MsgspecError, TypeError) as error:
            raise UnreadableRow(name, str(error)) from error
        if _tag(type(found)) != tag:
            raise UnreadableRow(name, f"is stored as {tag} and says that it is {_tag(type(found))}")
        return found

    def reads_all(self, tag: str, version: int, bodies: Iterable[bytes]) -> bool:
        """Whether `decode` would take every one of these rows, ten times as fast. False also for rows of an earlier
        version: whether they can be cast up is seen one by one.
        """
        if tag not in self.types or version != self.version(tag):
            return False
        wanted = self.types[tag]
        try:
            # By the union's decoder: that of one member takes a row without its tag as well.
            return all(type(found) is wanted for found in map(self._decoder.decode, bodies))
        except (msgspec.MsgspecError, TypeError):
            return False

    def present(self, tag: str, version: int, body: bytes, row: str = "") -> bytes:
        """A row's body at the present version; the same bytes when they are. Raises UnreadableRow, LaterVersion."""
        now = self.version(tag)
        if version == now and tag in self.types:
            return body
        name = f"{self.kind} {row or tag}"
        if tag not in self.types:
            raise UnreadableRow(name, f"{tag} is not known to this release")
        if version > now:
            raise LaterVersion(name, f"{tag} has version {version}, this release knows {now}: run the later release")
        return self._cast_up(name, tag, version, body)

    def _cast_up(self, name: str, tag: str, version: int, body: bytes) -> bytes:
        try:
            value = msgspec.json.decode(body, type=dict[str, Any])
            for step in range(version, self.version(tag)):
                value = self._upcasters[(tag, step)](value)
        except KeyError as missing:
            raise UnreadableRow(name, f"cannot be cast up from version {version}: {missing} is missing") from missing
        except (msgspec.MsgspecError, TypeError, ValueError) as error:
            raise UnreadableRow(name, f"cannot be cast up from version {version}: {error}") from error
        return msgspec.json.encode(value)


def _tag(member: type[Any]) -> str:
    return str(cast(type[msgspec.Struct], member).__struct_config__.tag)


STATES: Codec[Competition] = Codec("state", Competition)
FACTS: Codec[AnyFact] = Codec("fact", AnyFact)
DUTIES: Codec[AnyDuty] = Codec("duty", AnyDuty)
