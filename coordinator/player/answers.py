"""What others answer, decoded at the edge: a wrong shape is an error that names the member and who sent it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, TypeVar, cast

import msgspec

from coordinator_core.errors import CoreError, Fault, VerificationFailed

T = TypeVar("T")

_MINE: Final = frozenset({Fault.CALLER, Fault.PLAYER})
_MARK: Final = " - at `$"


class WrongAnswer(VerificationFailed):
    """A server answered something else than its interface promises. `what` names service, path and member."""

    code = "player.wrong_answer"


def decode(raw: bytes, kind: type[T], source: str, fault: Fault) -> T:
    """JSON of this kind; members that the kind does not have are ignored. `source` says who answered what.

    Raises WrongAnswer at `fault`.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.ValidationError as error:
        reason, _, member = str(error).rpartition(_MARK)
        raise WrongAnswer(f"{source}: {member.strip('`.') or 'answer'}", reason or str(error), fault=fault) from None
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise WrongAnswer(source, f"is not JSON: {error}", fault=fault) from None


def decode_refusal(raw: bytes) -> dict[str, object]:
    """An error body as far as it is a JSON object; a server in trouble may answer anything."""
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


@contextmanager
def received_from(fault: Fault) -> Iterator[None]:
    """Errors about a received document are its sender's fault, whoever else the library would blame.

    Inside it nothing may be checked but what that party sent.
    """
    try:
        yield
    except CoreError as error:
        if error.fault in _MINE:
            error.fault = fault
        raise
